// What this machine can do at most, measured here: kernels are judged by their share of it.
#pragma once

#include "kernels.hpp"

namespace quoin::cpu::test {

struct Peak {
  double integer = 0;  // operations/s of exact int8 products on one core; a multiply-add is two. 0: not known
  double real = 0;     // the same of binary32
};
// Of the instructions that a tier computes its products with, independent of each other and on registers:
// vpdpbusd with VNNI, vpmaddwd and vpaddd without (vpmaddubsw saturates, so its sums are not exact).
Peak measure_peak(const KernelTable& tier);

double measure_read_bandwidth();  // bytes/s that one core reads from memory; 0: not known

}  // namespace quoin::cpu::test
