// Text for people: tables that fit the terminal, colour only on a terminal, progress with time left.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"

namespace quoin::cli {

// Lines of at most `width` characters, broken behind a space, bar, slash or comma where there is one.
std::vector<std::string> wrap(const std::string& text, size_t width);

// Columns are as wide as their content. If the whole is wider than the terminal, the widest columns shrink: cells of
// the `wrapped` columns and of the last one go on in the next line, those of the others lose their middle to "…".
class Table {
 public:
  explicit Table(std::vector<std::string> header, const std::vector<size_t>& wrapped = {});
  void row(std::vector<std::string> cells);  // as many as the header
  // Numbers are right-aligned. `width` 0: of the terminal (or unlimited when not on one).
  std::string text(size_t width = 0) const;

 private:
  std::vector<size_t> widths(size_t width) const;  // of the columns, to fit into `width`; 0: no limit
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> wraps_;  // by column
};

bool on_terminal(int descriptor);
size_t terminal_width();                    // 0 when standard output is not a terminal
std::string bold(const std::string& text);  // plain when standard output is not a terminal or NO_COLOR is set

// Warnings to standard error as "warning: where: what; hint"; infos only when `verbose`.
void print_notes(const std::vector<Note>& notes, bool verbose);

// Stages and steps on standard error. On a terminal one line that rewrites itself, elsewhere a line per stage and per
// ten seconds. Shows the time left once a stage took two seconds. Ctrl-C makes step() return false.
class TerminalProgress : public Progress {
 public:
  explicit TerminalProgress(bool quiet);
  ~TerminalProgress() override;
  void stage(std::string_view name, uint64_t total) override;
  bool step(uint64_t done) override;
  void finish();  // takes the progress line off the terminal, for what is printed next

 private:
  using Clock = std::chrono::steady_clock;
  void show(uint64_t done);
  bool quiet_, rewrite_, shown_ = false;
  std::string name_;
  uint64_t total_ = 0, done_ = 0;
  Clock::time_point begin_, last_shown_;
};

}  // namespace quoin::cli
