#include "import/pt2_ops.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/text.hpp"

namespace quoin::import::pt2 {
namespace {

// The arguments of operator `op` of core/ops under another target.
template <const char* op>
Result<Values> rename(const Call& call) {
  return same_operator(call, op);
}
constexpr char kView[] = "aten.view.default", kClamp[] = "aten.clamp.default", kMaximum[] = "aten.maximum.default",
               kMinimum[] = "aten.minimum.default", kTranspose[] = "aten.transpose.int",
               kExpand[] = "aten.expand.default", kPermute[] = "aten.permute.default", kSlice[] = "aten.slice.Tensor",
               kSelect[] = "aten.select.int";

// Weights that are objects of torchao's own tensor classes travel pickled, which is code, not data.
Result<Values> tensor_subclass(const Call&) {
  return fail(Code::unsupported, "a weight is a tensor subclass")
      .hint("call torchao.utils.unwrap_tensor_subclass(model) before torch.export.export");
}

// The single place to teach the importer a target. Targets that core/ops knows by the same name and arguments pass
// through without a row; rows here take precedence.
const std::unordered_map<std::string, Convert>& table() {
  static const std::unordered_map<std::string, Convert> rows = {
      // elementwise
      {"aten.add.Tensor", arithmetic},
      {"aten.sub.Tensor", arithmetic},
      {"aten.mul.Tensor", arithmetic},
      {"aten.div.Tensor", arithmetic},
      {"aten.rsub.Scalar", reversed_subtract},
      {"aten.rsub.Tensor", reversed_subtract},
      {"aten.div.Tensor_mode", rounded_division},
      {"aten.div.Scalar_mode", rounded_division},
      {"aten.floor_divide.default", floor_division},
      {"aten.square.default", square},
      {"aten.max.other", rename<kMaximum>},
      {"aten.min.other", rename<kMinimum>},
      {"aten.__and__.Tensor", bitwise_and},
      {"aten.bitwise_and.Tensor", bitwise_and},
      {"aten.__or__.Tensor", bitwise_or},
      {"aten.bitwise_or.Tensor", bitwise_or},
      {"aten.bitwise_not.default", bitwise_not},
      {"aten.where.Scalar", where_scalars},
      {"aten.masked_fill.Scalar", masked_fill},
      {"aten.masked_fill.Tensor", masked_fill},
      {"aten.clip.default", rename<kClamp>},
      {"aten.clamp.Tensor", clamp_tensors},
      {"aten.selu.default", selu},
      {"aten.prelu.default", prelu},
      {"aten._prelu_kernel.default", prelu},
      {"aten.glu.default", glu},
      {"aten.to.dtype", convert_dtype},
      {"aten.to.dtype_layout", convert_dtype},
      {"aten.to.device", convert_dtype},
      {"aten._to_copy.default", convert_dtype},
      {"aten.to.other", convert_dtype_like},
      {"aten.type_as.default", convert_dtype_like},
      {"aten.alias.default", identity},
      {"aten.detach.default", identity},
      {"aten.lift_fresh_copy.default", identity},
      {"aten.lift.default", identity},
      {"aten.dropout.default", dropout},
      {"aten.alpha_dropout.default", dropout},
      {"aten.feature_dropout.default", dropout},
      {"aten.native_dropout.default", dropout},
      // creation
      {"aten.arange.default", arange},
      {"aten.arange.start", arange},
      {"aten.arange.start_step", arange},
      {"aten.zeros.default", zeros},
      {"aten.new_zeros.default", zeros},
      {"aten.zeros_like.default", zeros},
      {"aten.ones.default", ones},
      {"aten.new_ones.default", ones},
      {"aten.ones_like.default", ones},
      {"aten.full.default", full},
      {"aten.new_full.default", full},
      {"aten.full_like.default", full},
      {"aten.scalar_tensor.default", full},
      // shapes and moves
      {"aten._unsafe_view.default", rename<kView>},
      {"aten.view_copy.default", rename<kView>},
      {"aten.transpose_copy.int", rename<kTranspose>},
      {"aten.expand_copy.default", rename<kExpand>},
      {"aten.permute_copy.default", rename<kPermute>},
      {"aten.slice_copy.Tensor", rename<kSlice>},
      {"aten.select_copy.int", rename<kSelect>},
      {"aten.split.Tensor", split_equal},
      {"aten.split.sizes", split_sizes},
      {"aten.split_with_sizes.default", split_sizes},
      {"aten.split_with_sizes_copy.default", split_sizes},
      {"aten.chunk.default", chunk},
      {"aten.unbind.int", unbind},
      {"aten.narrow.default", narrow},
      {"aten.squeeze.default", squeeze_all},
      {"aten.unflatten.int", unflatten},
      {"aten.mT.default", transpose_last},
      {"aten.adjoint.default", transpose_last},
      {"aten.movedim.int", move_dims},
      {"aten.movedim.intlist", move_dims},
      {"aten.repeat_interleave.self_int", repeat_interleave},
      {"aten.tile.default", tile},
      {"aten.pixel_shuffle.default", pixel_shuffle},
      {"aten.constant_pad_nd.default", constant_pad},
      {"aten.upsample_nearest2d.default", upsample},
      {"aten.upsample_bilinear2d.default", upsample},
      // networks
      {"aten.convolution.default", convolution},
      {"aten._convolution.default", convolution},
      {"aten.conv1d.padding", convolution_padding},
      {"aten.conv2d.padding", convolution_padding},
      {"aten.batch_norm.default", batch_norm},
      {"aten._native_batch_norm_legit_no_training.default", batch_norm},
      {"aten.native_batch_norm.default", batch_norm},
      {"aten._native_batch_norm_legit.default", batch_norm},
      {"aten.instance_norm.default", instance_norm},
      {"aten.native_layer_norm.default", native_layer_norm},
      {"aten.native_group_norm.default", native_group_norm},
      {"aten._softmax.default", softmax},
      {"aten._log_softmax.default", softmax},
      {"aten.scaled_dot_product_attention.default", attention},
      {"aten.addmm.default", add_product},
      {"aten.baddbmm.default", add_product},
      {"aten.max_pool1d.default", pool_1d},
      {"aten.avg_pool1d.default", pool_1d},
      {"aten.adaptive_avg_pool1d.default", pool_1d},
      {"aten._adaptive_avg_pool2d.default", pool_1d},
      {"aten.max_pool2d_with_indices.default", max_pool_indices},
      {"export.access_subclass_inner_tensor.default", tensor_subclass},
      // reductions
      {"aten.mean.default", reduce_all},
      {"aten.sum.default", reduce_all},
      {"aten.max.default", reduce_all},
      {"aten.min.default", reduce_all},
      {"aten.max.dim", reduce_with_index},
      {"aten.min.dim", reduce_with_index},
      {"aten.var.correction", variance},
      {"aten.std.correction", variance},
      {"aten.var.dim", variance},
      {"aten.std.dim", variance},
      {"aten.norm.ScalarOpt_dim", vector_norm},
  };
  return rows;
}

Result<Values> pass_through(const Call& call) { return same_operator(call, out_of_place(call.node.target)); }

// Integers, bools and texts that an attribute takes; nullopt for what has no counterpart.
std::optional<Attr> to_attr(const Argument& argument) {
  if (const auto* value = std::get_if<bool>(&argument)) return *value;
  if (const auto* value = std::get_if<int64_t>(&argument)) return *value;
  if (const auto* value = std::get_if<double>(&argument)) return *value;
  if (const auto* value = std::get_if<std::string>(&argument)) return *value;
  if (const auto* value = std::get_if<std::vector<int64_t>>(&argument)) return *value;
  if (const auto* value = std::get_if<std::vector<double>>(&argument)) return *value;
  return std::nullopt;
}

// A python bool where a number is meant: eq.Scalar(x, True).
Attr widen(Attr attr, AttrKind kind) {
  const auto* flag = std::get_if<bool>(&attr);
  if (flag && (kind == AttrKind::number || kind == AttrKind::integer)) return static_cast<int64_t>(*flag);
  return attr;
}

Result<Values> operands(const Call& call, const OpSchema& schema) {
  Values out;
  for (const Slot& slot : schema.inputs) {
    const Argument* argument = call.find(slot.name);
    if (argument && std::holds_alternative<TensorRefs>(*argument)) {
      QUOIN_TRY(const Values list, call.tensors(slot.name));
      out.insert(out.end(), list.begin(), list.end());
    } else {
      QUOIN_TRY(out.emplace_back(), slot.optional ? call.tensor_or_none(slot.name) : call.tensor(slot.name));
    }
  }
  while (!out.empty() && out.back() == kNone) out.pop_back();
  return out;
}

}  // namespace

Convert find_conversion(const std::string& target) {
  const std::string plain = out_of_place(target);
  if (const auto found = table().find(plain); found != table().end()) return found->second;
  return find_op(plain) ? pass_through : nullptr;
}

std::string out_of_place(const std::string& target) {
  const size_t dot = target.rfind('.');
  const bool changes = dot != std::string::npos && dot > 1 && target[dot - 1] == '_' && target[dot - 2] != '_';
  return changes ? target.substr(0, dot - 1) + target.substr(dot) : target;
}

Result<Values> same_operator(const Call& call, const std::string& op) {
  const OpSchema* schema = find_op(op);
  if (!schema) return fail(Code::internal, "operator {} is not in the operator table", op);
  QUOIN_TRY(Values inputs, operands(call, *schema));
  Attrs attrs;
  for (const auto& pair : call.arguments) {
    const std::string& name = pair.first;
    const Argument& argument = pair.second;
    if (std::holds_alternative<std::monostate>(argument) || std::holds_alternative<Placement>(argument)) continue;
    const auto slot = [&](const Slot& each) { return each.name == name; };
    if (std::ranges::any_of(schema->inputs, slot)) continue;
    const auto spec = std::ranges::find_if(schema->attrs, [&](const AttrSpec& each) { return each.name == name; });
    if (spec == schema->attrs.end()) {
      if (name == "pin_memory" || name == "non_blocking") continue;  // where and when, not what
      return fail(Code::unsupported, "argument \"{}\" of {} is not supported", name, call.node.target);
    }
    auto attr = to_attr(argument);
    if (!attr) return fail(Code::unsupported, "argument \"{}\" must be known when the model is imported", name);
    attrs.insert_or_assign(name, widen(*std::move(attr), spec->kind));
  }
  return call.builder.result(op, std::move(inputs), std::move(attrs));
}

const Argument* Call::find(std::string_view name) const {
  const auto at = std::ranges::find_if(arguments, [&](const auto& pair) { return pair.first == name; });
  return at == arguments.end() || std::holds_alternative<std::monostate>(at->second) ? nullptr : &at->second;
}

bool Call::is_tensor(std::string_view name) const {
  const Argument* argument = find(name);
  return argument && std::holds_alternative<TensorRef>(*argument);
}

Failure Call::wrong(std::string_view name, std::string_view expected) const {
  const Argument* argument = find(name);
  if (!argument) return fail(Code::model, "argument \"{}\" is missing, expected {}", name, expected);
  if (const auto* opaque = std::get_if<Opaque>(argument))
    return fail(Code::unsupported, "argument \"{}\" of kind {} is not supported, expected {}", name, opaque->kind,
                expected);
  return fail(Code::model, "argument \"{}\" is not {}", name, expected);
}

Result<ValueId> Call::tensor(std::string_view name) const {
  if (!is_tensor(name)) return wrong(name, "a tensor");
  return resolve_(std::get<TensorRef>(*find(name)).name);
}

Result<ValueId> Call::tensor_or_none(std::string_view name) const {
  if (!find(name)) return kNone;
  return tensor(name);
}

Result<Values> Call::tensors(std::string_view name) const {
  const Argument* argument = find(name);
  if (!argument || !std::holds_alternative<TensorRefs>(*argument)) return wrong(name, "a list of tensors");
  Values out;
  for (const auto& ref : std::get<TensorRefs>(*argument)) {
    if (!ref) {
      out.push_back(kNone);
      continue;
    }
    QUOIN_TRY(out.emplace_back(), resolve_(ref->name));
  }
  return out;
}

Result<int64_t> Call::integer(std::string_view name, std::optional<int64_t> fallback) const {
  const Argument* argument = find(name);
  if (!argument && fallback) return *fallback;
  if (!argument || !std::holds_alternative<int64_t>(*argument)) return wrong(name, "an integer");
  return std::get<int64_t>(*argument);
}

Result<double> Call::number(std::string_view name, std::optional<double> fallback) const {
  const Argument* argument = find(name);
  if (!argument && fallback) return *fallback;
  if (argument) {
    if (const auto* value = std::get_if<double>(argument)) return *value;
    if (const auto* value = std::get_if<int64_t>(argument)) return static_cast<double>(*value);
    if (const auto* value = std::get_if<bool>(argument)) return *value ? 1.0 : 0.0;
  }
  return wrong(name, "a number");
}

Result<bool> Call::flag(std::string_view name, std::optional<bool> fallback) const {
  const Argument* argument = find(name);
  if (!argument && fallback) return *fallback;
  if (!argument || !std::holds_alternative<bool>(*argument)) return wrong(name, "true or false");
  return std::get<bool>(*argument);
}

Result<std::vector<int64_t>> Call::ints(std::string_view name, std::optional<std::vector<int64_t>> fallback) const {
  const Argument* argument = find(name);
  if (!argument && fallback) return *std::move(fallback);
  if (argument) {
    if (const auto* value = std::get_if<std::vector<int64_t>>(argument)) return *value;
    if (const auto* value = std::get_if<int64_t>(argument)) return std::vector<int64_t>{*value};
    if (const auto* value = std::get_if<TensorRefs>(argument); value && value->empty()) return std::vector<int64_t>{};
  }
  return wrong(name, "a list of integers");
}

Result<std::string> Call::text(std::string_view name, std::optional<std::string> fallback) const {
  const Argument* argument = find(name);
  if (!argument && fallback) return *std::move(fallback);
  if (!argument || !std::holds_alternative<std::string>(*argument)) return wrong(name, "a string");
  return std::get<std::string>(*argument);
}

}  // namespace quoin::import::pt2
