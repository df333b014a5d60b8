// Role 4: single float operators (NCHW, as the graph has them) on the fast kernels, for operators outside delegates and
// for calibration. Each entry's accepts() declines what it does not handle; the host then takes the portable kernel.
#pragma once

#include <quoin/abi.h>

namespace quoin::cpu {

// Elements are quoin_kernel; static storage.
quoin_array operator_kernels();

}  // namespace quoin::cpu
