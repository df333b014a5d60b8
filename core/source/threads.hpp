// Loops over rows and columns on the host's threads. What a piece computes does not depend on the pieces.
#pragma once

#include <quoin/abi.h>

#include <cstddef>

namespace quoin::source {

// body(begin, end) over [0, count) in pieces of `grain`. The body must not throw.
template <class F>
void in_pieces(const quoin_host& host, size_t count, size_t grain, const F& body) {
  const auto call = [](void* self, uint64_t begin, uint64_t end, uint32_t) {
    (*static_cast<const F*>(self))(static_cast<size_t>(begin), static_cast<size_t>(end));
  };
  if (count > 0) host.parallel_for(host.self, count, grain, call, const_cast<F*>(&body));
}

}  // namespace quoin::source
