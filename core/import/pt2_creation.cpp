#include "import/pt2_ops.hpp"

namespace quoin::import::pt2 {
namespace {

// The argument `dtype`, else that of the tensor `self` (the *_like and new_* forms), else `fallback`.
Result<std::string> result_dtype(const Call& call, const std::string& fallback) {
  if (call.find("dtype")) return call.text("dtype");
  if (!call.is_tensor("self")) return fallback;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  return std::string(name(call.builder.dtype(self)));
}

// The argument `size`, else the shape of `self`, else a scalar.
Result<Shape> result_size(const Call& call) {
  if (call.find("size")) return call.ints("size");
  if (!call.is_tensor("self")) return Shape{};
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  return call.builder.shape(self);
}

Result<Values> filled(const Call& call, double value, const std::string& fallback) {
  QUOIN_TRY(std::string dtype, result_dtype(call, fallback));
  QUOIN_TRY(Shape size, result_size(call));
  return call.builder.result("aten.full.default", {},
                             {{"size", std::move(size)}, {"fill_value", value}, {"dtype", std::move(dtype)}});
}

}  // namespace

// torch's rule: s64 if all bounds are integers, else the default float type.
Result<Values> arange(const Call& call) {
  bool integers = true;
  for (const char* bound : {"start", "end", "step"})
    if (const Argument* argument = call.find(bound)) integers = integers && std::holds_alternative<int64_t>(*argument);
  QUOIN_TRY(const double start, call.number("start", 0.0));
  QUOIN_TRY(const double end, call.number("end"));
  QUOIN_TRY(const double step, call.number("step", 1.0));
  QUOIN_TRY(std::string dtype, call.text("dtype", integers ? "s64" : "f32"));
  return call.builder.result("aten.arange.start_step", {},
                             {{"start", start}, {"end", end}, {"step", step}, {"dtype", std::move(dtype)}});
}

Result<Values> zeros(const Call& call) { return filled(call, 0.0, "f32"); }
Result<Values> ones(const Call& call) { return filled(call, 1.0, "f32"); }

// full(size, fill_value), new_full, full_like, scalar_tensor(s).
Result<Values> full(const Call& call) {
  const char* key = call.find("fill_value") ? "fill_value" : "s";
  QUOIN_TRY(const double value, call.number(key));
  const Argument& argument = *call.find(key);
  const char* own = std::holds_alternative<bool>(argument)      ? "bool"
                    : std::holds_alternative<int64_t>(argument) ? "s64"
                                                                : "f32";
  return filled(call, value, key[0] == 's' ? "f32" : own);
}

}  // namespace quoin::import::pt2
