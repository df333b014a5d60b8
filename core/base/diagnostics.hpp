// Warnings collected during a stage. Nothing is silent: whoever skips or replaces something adds a Note.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin {

enum class Level { info, warning };

struct Note {
  Level level = Level::warning;
  std::string where;  // file:line, node (module path), plugin file
  std::string what;   // one sentence with the reason
  std::string hint;   // what to do; may be empty
  std::string text() const { return (where.empty() ? "" : where + ": ") + what + (hint.empty() ? "" : "; " + hint); }
};

// Thread-safe list of notes, in order of arrival. `strict()` is the error that --strict makes of the warnings.
class Diagnostics {
 public:
  void info(std::string where, std::string what, std::string hint = {}) {
    add({Level::info, std::move(where), std::move(what), std::move(hint)});
  }
  void warn(std::string where, std::string what, std::string hint = {}) {
    add({Level::warning, std::move(where), std::move(what), std::move(hint)});
  }
  std::vector<Note> notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
  }
  // OK if there are no warnings; else code strict with all of them in the text.
  Status strict() const;

 private:
  void add(Note note) {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
  }
  mutable std::mutex mutex_;
  std::vector<Note> notes_;
};

// Called from long stages. `done` of `total` steps; returns false when the user asked to stop (code cancelled).
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void stage(std::string_view name, uint64_t total) = 0;
  virtual bool step(uint64_t done) = 0;
};

}  // namespace quoin
