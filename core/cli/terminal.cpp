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

namespace quoin::cli {
namespace {

// Characters, not bytes: UTF-8 continuation bytes do not count.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string cut(const std::string& text, size_t width) {
  if (columns(text) <= width) return text;
  std::string out;
  size_t used = 0;
  for (const char c : text) {
    if ((c & 0xC0) != 0x80 && ++used >= width) break;
    out += c;
  }
  return out + "…";
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

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text(size_t width) const {
  if (width == 0) width = terminal_width();
  std::vector<size_t> widths(rows_[0].size(), 0);
  for (const auto& row : rows_)
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
  const auto total = [&] {
    size_t sum = 0;
    for (const size_t w : widths) sum += w + 2;
    return sum - 2;
  };
  constexpr size_t kNarrowest = 12;
  while (width != 0 && total() > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) break;
    *widest = std::max(kNarrowest, *widest - std::min(*widest, total() - width));
  }
  std::string out;
  for (size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      const std::string cell = cut(rows_[r][c], widths[c]);
      const std::string padding(widths[c] - std::min(widths[c], columns(cell)), ' ');
      if (c != 0) line += "  ";
      line += r != 0 && is_number(cell) ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += (r == 0 ? bold(line) : line) + "\n";
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

TerminalProgress::~TerminalProgress() { finish_stage(); }

void TerminalProgress::finish_stage() {
  if (shown_ && rewrite_) std::cerr << "\r\033[K" << std::flush;
  shown_ = false;
}

void TerminalProgress::stage(std::string_view name, uint64_t total) {
  finish_stage();
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
