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
};

struct Slot {
  std::string name;
  bool optional = false;
};

// What passes, quantizers and planners may assume about an operator.
struct Traits {
  bool moves_data = false;   // every output element is an input element (or a fill): output may share the input's qparams
  bool clamps = false;       // elementwise monotone clamp: quantize(clamp(x)) == integer clamp(quantize(x))
  bool elementwise = false;  // output i depends on element i of the (broadcast) inputs only: may run in place
  bool view = false;         // output has the input's bytes in the input's order (reshape family)
};

// Result types from operand types; an absent optional operand is null. Messages say what was expected and found.
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

// nullptr if not known.
const OpSchema* find_op(std::string_view name);
std::span<const OpSchema> all_ops();  // sorted by name
std::vector<std::string> op_names();

// Checks attribute names and kinds against the schema, and adds defaults. Errors (model): unknown, missing, wrong kind.
Result<Attrs> complete_attrs(const OpSchema& schema, Attrs attrs);
// Operand count, then schema.infer, then rank and size limits of the results.
Result<std::vector<TensorType>> infer_types(const OpSchema& schema, std::span<const TensorType* const> inputs, const Attrs& attrs);

// Typed access after complete_attrs; a wrong name or kind is a programming error (aborts).
bool get_bool(const Attrs& attrs, std::string_view name);
int64_t get_int(const Attrs& attrs, std::string_view name);
double get_number(const Attrs& attrs, std::string_view name);
const std::string& get_text(const Attrs& attrs, std::string_view name);
const std::vector<int64_t>& get_ints(const Attrs& attrs, std::string_view name);
bool has(const Attrs& attrs, std::string_view name);

}  // namespace quoin
