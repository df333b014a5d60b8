// The operator set: one table row per operator (core/ops/table/*.cpp). Importers, the verifier, kernels, the lowering
// and program files all speak these names: torch.export's overload names ("aten.conv2d.default"),
// "quantized_decomposed.*" for Q/DQ graphs, "quoin.*" for what the typed form adds.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "ops/tensor.hpp"

namespace quoin {

// Attribute values. Element types travel as strings ("f32").
using Attr = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
using Attrs = std::map<std::string, Attr, std::less<>>;
std::string to_string(const Attr& attr);

enum class AttrKind { boolean, integer, number, text, integers, numbers };  // in the order of Attr's alternatives

struct AttrSpec {
  std::string name;
  AttrKind kind;
  std::optional<Attr> fallback;  // none: required unless `optional`
  bool optional = false;         // may be absent without a default (clamp's min)
  uint32_t length = 0;           // of lists: a single element is repeated to this length; 0: any
  std::string like;              // absent or empty: a copy of this attribute (a pool's stride)
};

struct Slot {
  std::string name;
  bool optional = false;
};

// What passes, quantizers and planners may assume about an operator.
struct Traits {
  bool moves_data =
      false;            // every output element is an input element (or a fill): output may share the input's qparams
  bool clamps = false;  // elementwise monotone clamp: quantize(clamp(x)) == integer clamp(quantize(x))
  bool elementwise = false;  // output i depends on element i of the (broadcast) inputs only: may run in place
  bool view = false;         // output has the input's bytes in the input's order (reshape family)
  // The first so many operands are states: result i is operand i with some rows replaced, and may be the same buffer.
  uint32_t updates = 0;
};

// Result types from operand types; an absent optional operand is null. Messages say what was expected and found.
// Works on logical types only: never sees or makes qparams (infer_types maps).
using Infer = Result<std::vector<TensorType>> (*)(std::span<const TensorType* const> inputs, const Attrs& attrs);

struct OpSchema {
  std::string name;
  uint32_t version = 1;
  std::vector<Slot> inputs;
  bool variadic = false;  // the last slot repeats (cat, index)
  uint32_t outputs = 1;
  std::vector<AttrSpec> attrs;
  Traits traits;
  Infer infer = nullptr;
};

// Whether this build knows any operator; without them programs run in plugins alone (-Druntime_kernels=none).
#ifdef QUOIN_NO_OPERATORS
inline constexpr bool kHasOperators = false;
#else
inline constexpr bool kHasOperators = true;
#endif
// nullptr if not known.
const OpSchema* find_op(std::string_view name);
std::span<const OpSchema> all_ops();  // sorted by name
std::vector<std::string> op_names();

// The type of the numbers that a value stands for: a value with qparams counts as f32 of the same shape.
TensorType logical(const TensorType& type);

// Checks attribute names and kinds against the schema, adds defaults and normalises: an integer where a list or a
// number is due is widened, one-element lists repeat to the spec's length (stride 2 -> [2, 2]).
// Errors (model): unknown, missing, wrong kind, wrong length.
Result<Attrs> complete_attrs(const OpSchema& schema, Attrs attrs);
// Operand count, then schema.infer on the logical types of the operands, then rank and size limits of the results.
// Results are logical types without qparams: in the typed form the result of a quantized node is inferred as f32, and
// whoever types the graph stores dtype and qparams of the value beside it (compare with logical(value.type)).
// `attrs` must be complete. Errors (model, unsupported, limit), each with the operator's name in front.
Result<std::vector<TensorType>> infer_types(const OpSchema& schema, std::span<const TensorType* const> inputs,
                                            const Attrs& attrs);

// Typed access after complete_attrs; a wrong name or kind is a programming error (aborts).
bool get_bool(const Attrs& attrs, std::string_view name);
int64_t get_int(const Attrs& attrs, std::string_view name);
double get_number(const Attrs& attrs, std::string_view name);
const std::string& get_text(const Attrs& attrs, std::string_view name);
const std::vector<int64_t>& get_ints(const Attrs& attrs, std::string_view name);
const std::vector<double>& get_numbers(const Attrs& attrs, std::string_view name);
bool has(const Attrs& attrs, std::string_view name);

}  // namespace quoin
