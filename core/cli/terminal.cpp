#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <utility>

namespace quoin::cli {
namespace {

// Characters, not bytes: UTF-8 continuation bytes do not count.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Keeps both ends: names of nodes, modules and files differ in either.
std::string cut(const std::string& text, size_t width) {
  const size_t all = columns(text);
  if (all <= width) return text;
  const size_t tail = (width - 1) / 2, head = width - 1 - tail;
  std::string begin, end;
  size_t seen = 0;
  for (const char c : text) {
    if ((c & 0xC0) != 0x80) ++seen;
    if (seen <= head) begin += c;
    if (seen > all - tail) end += c;
  }
  return begin + "…" + end;
}

bool is_number(const std::string& text) {
  return !text.empty() &&
         (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || (text[0] == '-' && text.size() > 1));
}

std::atomic<bool> interrupted{false};

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second Ctrl-C ends the process at once
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

std::vector<std::string> wrap(const std::string& text, size_t width) {
  std::vector<std::string> lines;
  std::string line, word;
  const auto end_line = [&] {
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::exchange(line, {}));
  };
  const auto end_word = [&] {
    const size_t trailing = word.ends_with(' ') ? 1 : 0;
    if (!line.empty() && columns(line) + columns(word) - trailing > width) end_line();
    line += std::exchange(word, {});
  };
  for (const char c : text) {
    if ((c & 0xC0) != 0x80 && columns(word) == width) end_word();
    word += c;
    if (c == ' ' || c == '|' || c == '/' || c == ',') end_word();
  }
  end_word();
  end_line();
  return lines;
}

Table::Table(std::vector<std::string> header, const std::vector<size_t>& wrapped) : wraps_(header.size(), false) {
  for (const size_t column : wrapped) wraps_[column] = true;
  wraps_.back() = true;
  rows_.push_back(std::move(header));
}

void Table::row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::vector<size_t> Table::widths(size_t width) const {
  std::vector<size_t> widths(wraps_.size(), 0);
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
  size_t total = 2 * (widths.size() - 1);
  for (const size_t w : widths) total += w;
  constexpr size_t kNarrowest = 12, kNarrowestSentence = 24, kOthers = 70;
  const size_t sentence = std::max(kNarrowestSentence, width - std::min(width, kOthers));
  for (; width != 0 && total > width; --total) {
    size_t widest = widths.size();
    for (size_t c = 0; c < widths.size(); ++c) {
      const size_t least = c + 1 == widths.size() ? sentence : kNarrowest;
      if (widths[c] > least && (widest == widths.size() || widths[c] > widths[widest])) widest = c;
    }
    if (widest == widths.size()) break;
    --widths[widest];
  }
  return widths;
}

std::string Table::text(size_t width) const {
  const std::vector<size_t> wide = widths(width == 0 ? terminal_width() : width);
  std::string out;
  for (size_t r = 0; r < rows_.size(); ++r) {
    std::vector<std::vector<std::string>> cells;
    size_t height = 1;
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      cells.push_back(wraps_[c] ? wrap(rows_[r][c], wide[c]) : std::vector{cut(rows_[r][c], wide[c])});
      height = std::max(height, cells.back().size());
    }
    for (size_t l = 0; l < height; ++l) {
      std::string line;
      for (size_t c = 0; c < cells.size(); ++c) {
        const std::string cell = l < cells[c].size() ? cells[c][l] : std::string();
        const std::string padding(wide[c] - std::min(wide[c], columns(cell)), ' ');
        if (c != 0) line += "  ";
        line += r != 0 && cells[c].size() == 1 && is_number(cell) ? padding + cell : cell + padding;
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += (r == 0 ? bold(line) : line) + "\n";
    }
  }
  return out;
}

bool on_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

size_t terminal_width() {
  struct winsize size {};
  if (!on_terminal(STDOUT_FILENO) || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string bold(const std::string& text) {
  if (!on_terminal(STDOUT_FILENO) || std::getenv("NO_COLOR") != nullptr) return text;
  return "\033[1m" + text + "\033[0m";
}

void print_notes(const std::vector<Note>& notes, bool verbose) {
  for (const Note& note : notes) {
    if (note.level == Level::info && !verbose) continue;
    std::cerr << (note.level == Level::warning ? "warning: " : "note: ") << note.text() << "\n";
  }
}

TerminalProgress::TerminalProgress(bool quiet) : quiet_(quiet), rewrite_(on_terminal(STDERR_FILENO)) {
  install_interrupt_handler();
}

TerminalProgress::~TerminalProgress() { finish(); }

void TerminalProgress::finish() {
  if (shown_ && rewrite_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

void TerminalProgress::stage(std::string_view name, uint64_t total) {
  finish();
  name_ = name;
  total_ = total;
  done_ = 0;
  begin_ = last_shown_ = Clock::now();
  if (!quiet_ && rewrite_) show(0);
}

void TerminalProgress::show(uint64_t done) {
  const double spent = std::chrono::duration<double>(Clock::now() - begin_).count();
  std::string line = name_;
  if (total_ != 0) line += fmt::format(" {}/{}", done, total_);
  if (total_ != 0 && done != 0 && spent > 2)
    line += fmt::format(", {:.0f} s left",
                        spent / static_cast<double>(done) * static_cast<double>(total_ - std::min(done, total_)));
  std::cerr << (rewrite_ ? "\r\033[K" + line : line + "\n") << std::flush;
  shown_ = true;
  last_shown_ = Clock::now();
}

bool TerminalProgress::step(uint64_t done) {
  done_ = done;
  const auto interval = rewrite_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000);
  if (!quiet_ && Clock::now() - last_shown_ >= interval) show(done);
  return !interrupted;
}

}  // namespace quoin::cli
