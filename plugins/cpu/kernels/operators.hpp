// Role 4: single float operators (NCHW, as the graph has them) on the fast kernels, for operators outside delegates and
// for calibration. Each entry's accepts() declines what it does not handle; the host then takes the portable kernel.
#pragma once

#include <quoin/abi.h>

#include <span>

namespace quoin::cpu {

// Static storage; what quoin_plugin.kernels points at.
std::span<const quoin_kernel> operator_kernels();

}  // namespace quoin::cpu
