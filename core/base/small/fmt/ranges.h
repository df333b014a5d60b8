#ifndef QUOIN_RANGES_H_
#define QUOIN_RANGES_H_
#include <fmt/format.h>
#endif  // QUOIN_RANGES_H_
