// One entry point per tier, each in a translation unit built with that tier's flags.
#pragma once

#include "kernels.hpp"

namespace quoin::cpu {

void fill_scalar(KernelTable& table);
void fill_avx2(KernelTable& table);
void fill_avx_vnni(KernelTable& table);  // replaces the integer dot products of avx2
void fill_avx512(KernelTable& table);
void fill_avx512_vnni(KernelTable& table);  // replaces the integer dot products of avx512
void fill_amx(KernelTable& table);          // replaces the integer matrix products of avx512_vnni

}  // namespace quoin::cpu
