#include "import/pt2_program.hpp"

#include <cctype>

#include "base/text.hpp"
#include "import/provenance.hpp"
#include "json/parse.hpp"

namespace quoin::import::pt2 {
namespace {

constexpr int64_t kSchemaMajor = 8;
constexpr int64_t kUnbounded = int64_t{1} << 62;  // sympy's infinity is written as a number near 2^63

// "L__self__conv,conv,torch.nn.Conv2d;..." -> frames, the root (empty path) left out.
std::vector<ir::ModuleFrame> parse_modules(const std::string& stack) {
  std::vector<ir::ModuleFrame> out;
  for (const std::string& level : split(stack, ';')) {
    const size_t first = level.find(','), second = first == std::string::npos ? first : level.find(',', first + 1);
    if (second == std::string::npos) continue;
    std::string path = level.substr(first + 1, second - first - 1);
    // Strict-mode exports write the path as Python code.
    for (const std::string_view root : {"L['self'].", "L['self']", "self."})
      if (path.starts_with(root)) path.erase(0, root.size());
    if (!path.empty()) out.push_back({std::move(path), level.substr(second + 1)});
  }
  return out;
}

Status append_outputs(const Place& tagged, std::vector<std::string>& out) {
  QUOIN_TRY(const auto tag, tagged.only_member());
  const auto& [kind, value] = tag;
  if (kind == "as_tensor") {
    QUOIN_TRY(const Place name, value.at("name"));
    QUOIN_TRY(out.emplace_back(), name.text());
    return {};
  }
  if (kind == "as_optional_tensor") return append_outputs(value, out);
  if (kind != "as_tensors" && kind != "as_optional_tensors") return {};
  QUOIN_TRY(const auto items, value.items());
  for (const Place& item : items) {
    if (item.find("as_none")) continue;
    const auto nested = item.find("as_tensor");
    QUOIN_TRY(const Place name, (nested ? *nested : item).at("name"));
    QUOIN_TRY(out.emplace_back(), name.text());
  }
  return {};
}

}  // namespace

Result<DType> scalar_type(const Place& code) {
  QUOIN_TRY(const int64_t value, code.integer());
  switch (value) {  // torch._export.serde.schema.ScalarType
    case 1:
      return DType::u8;
    case 2:
      return DType::s8;
    case 3:
      return DType::s16;
    case 4:
      return DType::s32;
    case 5:
      return DType::s64;
    case 6:
      return DType::f16;
    case 7:
      return DType::f32;
    case 8:
      return DType::f64;
    case 12:
      return DType::boolean;
    case 13:
      return DType::bf16;
    case 28:
      return DType::u16;
    default:
      return fail(Code::unsupported, "element type {} of torch's ScalarType is not supported", value)
          .at("{}", code.where())
          .hint("complex, quantized and 8-bit float tensors cannot be imported");
  }
}

Result<TensorMeta> read_meta(const Place& meta, const std::function<Result<int64_t>(const Place&)>& size) {
  TensorMeta out;
  const auto list = [&](const char* key, Shape& to) -> Status {
    QUOIN_TRY(const Place json, meta.at(key));
    QUOIN_TRY(const auto items, json.items());
    for (const Place& item : items) {
      QUOIN_TRY(to.emplace_back(), size(item));
    }
    return {};
  };
  QUOIN_TRY(const Place dtype, meta.at("dtype"));
  QUOIN_TRY(out.dtype, scalar_type(dtype));
  QUOIN_CHECK(list("sizes", out.shape));
  QUOIN_CHECK(list("strides", out.strides));
  QUOIN_TRY(const Place offset, meta.at("storage_offset"));
  QUOIN_TRY(out.offset, size(offset));
  if (out.strides.size() != out.shape.size())
    return fail(Code::model, "{} sizes but {} strides", out.shape.size(), out.strides.size()).at("{}", meta.where());
  QUOIN_CHECK_AT(checked_numel(out.shape), "{}", meta.where());
  return out;
}

Program::Program(std::unique_ptr<json::Document> document, Dims& dims) : document_(std::move(document)), dims_(&dims) {}

Result<Program> Program::parse(std::string_view text, const std::string& file, Dims& dims, Diagnostics& diagnostics) {
  QUOIN_TRY(auto document, json::parse(text, file));
  Program program(std::make_unique<json::Document>(std::move(document)), dims);
  const Place root(*program.document_, file);
  QUOIN_CHECK(program.read_version(root));
  QUOIN_TRY(const Place module, root.at("graph_module"));
  QUOIN_TRY(const Place graph, module.at("graph"));
  QUOIN_TRY(const Place signature, module.at("signature"));
  QUOIN_TRY(const Place tensors, graph.at("tensor_values"));
  QUOIN_TRY(auto values, tensors.members());
  for (auto& [name, meta] : values) program.tensors_.emplace(std::move(name), std::move(meta));
  if (const auto symbolic = graph.find("sym_int_values")) {
    QUOIN_TRY(auto sizes, symbolic->members());
    for (auto& [name, size] : sizes) program.symbolic_.emplace(std::move(name), std::move(size));
  }
  QUOIN_CHECK(program.read_ranges(root));
  QUOIN_CHECK(program.read_inputs(graph, signature));
  QUOIN_CHECK(program.read_outputs(signature, diagnostics));
  QUOIN_CHECK(program.read_nodes(graph));
  return program;
}

Status Program::read_version(const Place& root) const {
  QUOIN_TRY(const Place version, root.at("schema_version"));
  QUOIN_TRY(const Place major_json, version.at("major"));
  QUOIN_TRY(const int64_t number, major_json.integer());
  if (number == kSchemaMajor) return {};
  return fail(Code::unsupported, "schema version {} of torch.export, version {} is read", number, kSchemaMajor)
      .at("{}", root.where())
      .hint("save the program again with torch 2.9 or newer");
}

Status Program::read_ranges(const Place& root) {
  const auto constraints = root.find("range_constraints");
  if (!constraints) return {};
  QUOIN_TRY(const auto members, constraints->members());
  for (const auto& [symbol, json] : members) {
    Range range;
    if (const auto least = json.find("min_val"); least && !least->is_text()) {
      QUOIN_TRY(range.min, least->integer());
    }
    if (const auto most = json.find("max_val"); most && !most->is_text()) {
      QUOIN_TRY(const int64_t max, most->integer());
      if (max < kUnbounded) range.max = max;
    }
    range.min = std::max<int64_t>(range.min, 0);
    ranges_.emplace(symbol, range);
  }
  return {};
}

Status Program::read_inputs(const Place& graph, const Place& signature) {
  QUOIN_TRY(const Place specs_json, signature.at("input_specs"));
  QUOIN_TRY(const auto specs, specs_json.items());
  QUOIN_TRY(const Place inputs_json, graph.at("inputs"));
  QUOIN_TRY(const auto inputs, inputs_json.items());
  if (inputs.size() != specs.size())
    return fail(Code::model, "{} inputs but {} input specs", inputs.size(), specs.size()).at("{}", signature.where());
  for (const Place& spec : specs) {
    QUOIN_TRY(const auto tag, spec.only_member());
    QUOIN_TRY(inputs_.emplace_back(), read_input(tag.first, tag.second));
  }
  return {};
}

Result<InputSpec> Program::read_input(const std::string& kind, const Place& body) {
  static constexpr struct {
    const char *tag, *target;
    InputSpec::Kind kind;
  } kLifted[] = {{"parameter", "parameter_name", InputSpec::Kind::parameter},
                 {"buffer", "buffer_name", InputSpec::Kind::buffer},
                 {"tensor_constant", "tensor_constant_name", InputSpec::Kind::constant}};
  InputSpec input;
  for (const auto& row : kLifted) {
    if (kind != row.tag) continue;
    input.kind = row.kind;
    QUOIN_TRY(const Place arg, body.at("arg"));
    QUOIN_TRY(const Place name, arg.at("name"));
    QUOIN_TRY(input.value, name.text());
    QUOIN_TRY(const Place target, body.at(row.target));
    QUOIN_TRY(input.target, target.text());
    return input;
  }
  if (kind == "user_input") return read_user_input(body);
  if (kind != "constant_input")
    return fail(Code::unsupported, "inputs of kind {} are not supported", kind).at("{}", body.where());
  input.kind = InputSpec::Kind::ignored;
  return input;
}

Result<InputSpec> Program::read_user_input(const Place& body) {
  QUOIN_TRY(const Place arg, body.at("arg"));
  QUOIN_TRY(const auto value, arg.only_member());
  InputSpec input;
  if (value.first == "as_tensor") {
    QUOIN_TRY(const Place name, value.second.at("name"));
    QUOIN_TRY(input.value, name.text());
    QUOIN_CHECK(bind_symbols(input.value));
    return input;
  }
  if (value.first == "as_sym_int" || value.first == "as_custom_obj")
    return fail(Code::unsupported, "inputs of kind {} are not supported", value.first)
        .at("{}", arg.where())
        .hint("export the model with tensors as its only inputs");
  input.kind = InputSpec::Kind::ignored;  // numbers and None were fixed when the model was exported
  return input;
}

// Every identifier in an input's sizes that has a range is a free symbol.
Status Program::bind_symbols(const std::string& input) {
  const auto found = tensors_.find(input);
  if (found == tensors_.end()) return fail(Code::model, "input \"{}\" has no entry in tensor_values", input);
  QUOIN_TRY(const Place sizes_json, found->second.at("sizes"));
  QUOIN_TRY(const auto sizes, sizes_json.items());
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    const auto expression = sizes[axis].find("as_expr");
    if (!expression) continue;
    QUOIN_TRY(const Place json, expression->at("expr_str"));
    QUOIN_TRY(const std::string text, json.text());
    const auto word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (size_t at = 0; at < text.size(); ++at) {
      const size_t start = at;
      while (at < text.size() && word(text[at])) ++at;
      const std::string symbol = text.substr(start, at - start);
      if (const auto range = ranges_.find(symbol); range != ranges_.end()) {
        QUOIN_CHECK(dims_->bind(symbol, range->second, fmt::format("input {}, axis {}", input, axis)));
      } else if (symbol == text) {
        QUOIN_CHECK(dims_->bind(symbol, {}, fmt::format("input {}, axis {}", input, axis)));
      }
    }
  }
  return {};
}

Status Program::read_outputs(const Place& signature, Diagnostics& diagnostics) {
  QUOIN_TRY(const Place specs_json, signature.at("output_specs"));
  QUOIN_TRY(const auto specs, specs_json.items());
  for (const Place& spec : specs) {
    QUOIN_TRY(const auto tag, spec.only_member());
    if (tag.first != "user_output" && tag.first != "loss_output") {
      diagnostics.warn(spec.where(),
                       fmt::format("output of kind {} is dropped: programs keep no state between runs", tag.first));
      continue;
    }
    QUOIN_TRY(Place arg, tag.second.at("arg"));
    if (const auto direct = arg.find("name")) {
      QUOIN_TRY(outputs_.emplace_back(), direct->text());
      continue;
    }
    const size_t before = outputs_.size();
    QUOIN_CHECK(append_outputs(arg, outputs_));
    if (outputs_.size() == before) diagnostics.info(spec.where(), "an output that is no tensor is dropped");
  }
  return {};
}

Status Program::read_nodes(const Place& graph) {
  QUOIN_TRY(const Place nodes_json, graph.at("nodes"));
  QUOIN_TRY(const auto nodes, nodes_json.items());
  nodes_.reserve(nodes.size());
  for (const Place& json : nodes) {
    QUOIN_TRY(const Place target_json, json.at("target"));
    QUOIN_TRY(std::string target, target_json.text());
    if (target.starts_with("torch.ops.")) target.erase(0, 10);
    QUOIN_TRY(const Place inputs, json.at("inputs"));
    QUOIN_TRY(const Place outputs_json, json.at("outputs"));
    QUOIN_TRY(const auto outputs, outputs_json.items());
    NodeRecord node{std::move(target), {}, {}, {}, {}, inputs};
    for (const Place& output : outputs) {
      QUOIN_CHECK(append_outputs(output, node.outputs));
    }
    if (const auto name = json.find("name")) {
      QUOIN_TRY(node.name, name->text());
    } else if (!node.outputs.empty()) {
      node.name = node.outputs[0];
    }
    if (const auto metadata = json.find("metadata")) {
      if (const auto stack = metadata->find("nn_module_stack"); stack && stack->is_text())
        node.modules = parse_modules(*stack->text());
      if (const auto trace = metadata->find("stack_trace"); trace && trace->is_text())
        node.source = innermost_line(*trace->text());
    }
    nodes_.push_back(std::move(node));
  }
  return {};
}

Result<int64_t> Program::size(const Place& tagged) const {
  QUOIN_TRY(const auto tag, tagged.only_member());
  const auto& [kind, value] = tag;
  if (kind == "as_int") return value.integer();
  if (kind == "as_expr") {
    QUOIN_TRY(const Place json, value.at("expr_str"));
    QUOIN_TRY(const std::string expression, json.text());
    auto result = dims_->evaluate(expression);
    if (!result) return std::move(result).failure().at("{}", value.where());
    return result;
  }
  if (kind == "as_name") {
    QUOIN_TRY(const std::string name, value.text());
    const auto found = symbolic_.find(name);
    if (found == symbolic_.end()) return fail(Code::model, "size \"{}\" is not defined", name).at("{}", value.where());
    if (found->second.find("as_name")) return found->second.expected("a number or an expression");
    return size(found->second);
  }
  return tagged.expected("a size");
}

Result<TensorMeta> Program::meta(const std::string& value) const {
  const auto found = tensors_.find(value);
  if (found == tensors_.end()) return fail(Code::model, "value \"{}\" has no entry in tensor_values", value);
  return read_meta(found->second, [this](const Place& json) { return size(json); });
}

Result<Argument> Program::list_argument(const std::string& tag, const Place& value) const {
  QUOIN_TRY(const auto items, value.items());
  if (tag == "as_tensors" || tag == "as_optional_tensors") {
    TensorRefs out;
    for (const Place& item : items) {
      if (item.find("as_none")) {
        out.emplace_back();
        continue;
      }
      const auto nested = item.find("as_tensor");
      QUOIN_TRY(const Place name, (nested ? *nested : item).at("name"));
      QUOIN_TRY(std::string text, name.text());
      out.push_back(TensorRef{std::move(text)});
    }
    return out;
  }
  if (tag == "as_floats") {
    std::vector<double> out;
    for (const Place& item : items) {
      QUOIN_TRY(out.emplace_back(), item.number());
    }
    return out;
  }
  std::vector<int64_t> out;
  for (const Place& item : items) {
    if (tag == "as_bools") {
      QUOIN_TRY(const bool flag, item.flag());
      out.push_back(flag);
    } else {
      QUOIN_TRY(out.emplace_back(), tag == "as_ints" ? item.integer() : size(item));
    }
  }
  return out;
}

Result<Argument> Program::argument(const Place& tagged) const {
  QUOIN_TRY(const auto pair, tagged.only_member());
  const auto& [tag, value] = pair;
  if (tag == "as_none") return Argument();
  if (tag == "as_tensor") {
    QUOIN_TRY(const Place name, value.at("name"));
    QUOIN_TRY(std::string text, name.text());
    return TensorRef{std::move(text)};
  }
  if (tag == "as_optional_tensor") return argument(value);
  if (tag == "as_bool") return value.flag();
  if (tag == "as_int") return value.integer();
  if (tag == "as_float") return value.number();
  if (tag == "as_string") return value.text();
  if (tag == "as_sym_int") return size(value);
  if (tag == "as_scalar_type") {
    QUOIN_TRY(const DType dtype, scalar_type(value));
    return std::string(quoin::name(dtype));
  }
  if (tag == "as_device" || tag == "as_layout" || tag == "as_memory_format") return Placement();
  if (tag == "as_sym_bool") {
    if (const auto flag = value.find("as_bool")) return flag->flag();
    return Opaque{tag};
  }
  if (tag == "as_sym_float") {
    if (const auto number = value.find("as_float")) return number->number();
    return Opaque{tag};
  }
  for (const std::string_view list :
       {"as_ints", "as_floats", "as_bools", "as_sym_ints", "as_tensors", "as_optional_tensors"})
    if (tag == list) return list_argument(tag, value);
  return Opaque{tag};
}

Result<Arguments> Program::arguments(const NodeRecord& node) const {
  QUOIN_TRY(const auto inputs, node.inputs.items());
  Arguments out;
  for (const Place& input : inputs) {
    QUOIN_TRY(const Place name_json, input.at("name"));
    QUOIN_TRY(std::string name, name_json.text());
    QUOIN_TRY(const Place arg, input.at("arg"));
    QUOIN_TRY(Argument value, argument(arg));
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

}  // namespace quoin::import::pt2
