#include "ops/schema.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.hpp"

namespace quoin {
namespace {

std::string_view kind_name(AttrKind kind) {
  switch (kind) {
    case AttrKind::boolean:
      return "a boolean";
    case AttrKind::integer:
      return "an integer";
    case AttrKind::number:
      return "a number";
    case AttrKind::text:
      return "a string";
    case AttrKind::integers:
      return "a list of integers";
    case AttrKind::numbers:
      return "a list of numbers";
  }
  return "?";
}

AttrKind kind_of(const Attr& attr) { return static_cast<AttrKind>(attr.index()); }

// Lossless widening to the kind of the spec, where there is one.
Attr widen(Attr attr, AttrKind to) {
  const AttrKind from = kind_of(attr);
  if (to == AttrKind::number && from == AttrKind::integer) return static_cast<double>(std::get<int64_t>(attr));
  if (to == AttrKind::integers && from == AttrKind::integer) return std::vector<int64_t>{std::get<int64_t>(attr)};
  if (to == AttrKind::numbers && from == AttrKind::number) return std::vector<double>{std::get<double>(attr)};
  if (to == AttrKind::integers && from == AttrKind::numbers && std::get<std::vector<double>>(attr).empty())
    return std::vector<int64_t>{};
  if (to == AttrKind::numbers && from == AttrKind::integers) {
    const auto& from_list = std::get<std::vector<int64_t>>(attr);
    return std::vector<double>(from_list.begin(), from_list.end());
  }
  return attr;
}

Result<Attr> checked(const AttrSpec& spec, Attr attr) {
  Attr value = widen(std::move(attr), spec.kind);
  if (kind_of(value) != spec.kind)
    return fail(Code::model, "attribute {} must be {}, found {} ({})", spec.name, kind_name(spec.kind),
                to_string(value), kind_name(kind_of(value)));
  if (spec.length == 0) return value;
  auto& list = std::get<std::vector<int64_t>>(value);
  if (list.size() == 1) list.resize(spec.length, list[0]);
  if (list.size() != spec.length && !(list.empty() && !spec.like.empty()))
    return fail(Code::model, "attribute {} must have {} elements, found {}", spec.name, spec.length, to_string(value));
  return value;
}

bool empty_list(const Attrs& attrs, const std::string& name) {
  const auto* list = std::get_if<std::vector<int64_t>>(&attrs.find(name)->second);
  return list != nullptr && list->empty();
}

Status complete_one(const AttrSpec& spec, Attrs& attrs) {
  if (const auto found = attrs.find(spec.name); found != attrs.end()) {
    QUOIN_TRY(found->second, checked(spec, std::move(found->second)));
  } else if (spec.fallback) {
    attrs.emplace(spec.name, *spec.fallback);
  } else if (!spec.optional && spec.like.empty()) {
    return fail(Code::model, "required attribute {} ({}) is missing", spec.name, kind_name(spec.kind));
  }
  if (!spec.like.empty() && (!has(attrs, spec.name) || empty_list(attrs, spec.name)))
    attrs.insert_or_assign(spec.name, attrs.find(spec.like)->second);
  return {};
}

Status check_operands(const OpSchema& schema, std::span<const TensorType* const> inputs) {
  const size_t least = schema.inputs.size() - (schema.variadic ? 1 : 0);
  size_t required = 0;  // trailing optional operands may be left out
  for (size_t i = 0; i < schema.inputs.size(); ++i)
    if (!schema.inputs[i].optional) required = i + 1;
  if (inputs.size() < std::min(required, schema.inputs.size()) ||
      (!schema.variadic && inputs.size() > schema.inputs.size()))
    return fail(Code::model, "{} operands, expected {}{}", inputs.size(), required,
                schema.variadic                    ? " or more"
                : required == schema.inputs.size() ? ""
                                                   : fmt::format(" to {}", schema.inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Slot& slot = schema.inputs[i < least ? i : std::min(i, schema.inputs.size() - 1)];
    if (inputs[i] == nullptr && !slot.optional) return fail(Code::model, "operand {} ({}) is missing", i, slot.name);
    if (inputs[i] == nullptr) continue;
    QUOIN_CHECK_AT(checked_numel(inputs[i]->shape), "operand {} ({})", i, slot.name);
  }
  return {};
}

Result<std::vector<TensorType>> infer_checked(const OpSchema& schema, std::span<const TensorType* const> inputs,
                                              const Attrs& attrs) {
  QUOIN_CHECK(check_operands(schema, inputs));
  std::vector<TensorType> types(std::max(inputs.size(), schema.inputs.size()));
  std::vector<const TensorType*> operands(types.size(), nullptr);  // absent trailing operands are null
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] == nullptr) continue;
    types[i] = logical(*inputs[i]);
    operands[i] = &types[i];
  }
  if (schema.variadic) operands.resize(inputs.size());
  QUOIN_TRY(std::vector<TensorType> outputs, schema.infer(operands, attrs));
  if (outputs.size() != schema.outputs)
    return fail(Code::internal, "inference made {} results, the schema says {}", outputs.size(), schema.outputs);
  for (const TensorType& type : outputs) QUOIN_CHECK(checked_numel(type.shape));
  return outputs;
}

// Null if absent.
const Attr* find(const Attrs& attrs, std::string_view name) {
  const auto found = attrs.find(name);
  return found == attrs.end() ? nullptr : &found->second;
}

template <class T>
const T& get(const Attrs& attrs, std::string_view name) {
  const T* value = std::get_if<T>(find(attrs, name));
  if (value == nullptr) std::abort();
  return *value;
}

struct Printer {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return '"' + value + '"'; }
  template <class T>
  std::string operator()(const std::vector<T>& list) const {
    return fmt::format("[{}]", fmt::join(list, ", "));
  }
};

}  // namespace

std::string to_string(const Attr& attr) { return std::visit(Printer{}, attr); }

TensorType logical(const TensorType& type) { return {type.qparams ? DType::f32 : type.dtype, type.shape, nullptr}; }

Result<Attrs> complete_attrs(const OpSchema& schema, Attrs attrs) {
  std::vector<std::string> names;
  for (const AttrSpec& spec : schema.attrs) names.push_back(spec.name);
  for (const auto& [name, value] : attrs) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    return fail(Code::model, "unknown attribute {} = {}", name, to_string(value))
        .at("{}", schema.name)
        .hint(did_you_mean(name, names));
  }
  for (const AttrSpec& spec : schema.attrs) QUOIN_CHECK_AT(complete_one(spec, attrs), "{}", schema.name);
  return attrs;
}

Result<std::vector<TensorType>> infer_types(const OpSchema& schema, std::span<const TensorType* const> inputs,
                                            const Attrs& attrs) {
  auto types = infer_checked(schema, inputs, attrs);
  if (!types) return std::move(types).failure().at("{}", schema.name);
  return types;
}

bool get_bool(const Attrs& attrs, std::string_view name) { return get<bool>(attrs, name); }
int64_t get_int(const Attrs& attrs, std::string_view name) { return get<int64_t>(attrs, name); }
double get_number(const Attrs& attrs, std::string_view name) { return get<double>(attrs, name); }
const std::string& get_text(const Attrs& attrs, std::string_view name) { return get<std::string>(attrs, name); }
const std::vector<int64_t>& get_ints(const Attrs& attrs, std::string_view name) {
  return get<std::vector<int64_t>>(attrs, name);
}
const std::vector<double>& get_numbers(const Attrs& attrs, std::string_view name) {
  return get<std::vector<double>>(attrs, name);
}
bool has(const Attrs& attrs, std::string_view name) { return find(attrs, name) != nullptr; }

}  // namespace quoin
