// Ends a text at the first of some texts, without ever showing a part of one.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace quoin::generate {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  bool found() const { return found_; }

  // What may be shown now: not what may become a stop, nothing from a stop on.
  std::string push(const std::string& text) {
    if (found_) return {};
    held_ += text;
    size_t end = std::string::npos;
    for (const std::string& stop : stops_) end = std::min(end, held_.find(stop));
    found_ = end != std::string::npos;
    if (!found_) end = held_.size() - beginning();
    std::string out = held_.substr(0, end);
    held_.erase(0, end);
    return out;
  }
  // What was held and became no stop.
  std::string finish() { return found_ ? std::string() : std::exchange(held_, {}); }

 private:
  // Bytes at the end of what is held that begin a stop.
  size_t beginning() const {
    size_t longest = 0;
    for (const std::string& stop : stops_)
      for (size_t size = std::min(stop.size() - 1, held_.size()); size > longest; --size)
        if (held_.ends_with(stop.substr(0, size))) longest = size;
    return longest;
  }
  std::vector<std::string> stops_;  // none is empty
  std::string held_;
  bool found_ = false;
};

}  // namespace quoin::generate
