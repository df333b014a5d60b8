// `.pt2` archives: the loop over the nodes.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "import/internal.hpp"
#include "import/pt2_ops.hpp"
#include "import/pt2_weights.hpp"
#include "json/parse.hpp"

namespace quoin::import {
namespace pt2 {
namespace {

constexpr uint64_t kMaxProgram = 64ull << 20;
constexpr std::string_view kFolder = "models/";

// Top folder of the archive and its program: "resnet8/" and "resnet8/models/model.json".
struct Layout {
  std::string root, program;
};

Result<Layout> find_layout(const Archive& archive, const std::string& file) {
  std::vector<Layout> found;
  for (const std::string& name : archive.names()) {
    if (name.ends_with("serialized_exported_program.json"))
      return fail(Code::unsupported, "the archive has the layout of torch before 2.9")
          .at("{}", file)
          .hint("load it with torch.export.load and save it again with torch 2.9 or newer");
    const size_t at = name.starts_with(kFolder) ? 0 : name.find("/models/");
    if (at == std::string::npos || !name.ends_with(".json")) continue;
    const std::string root = at == 0 ? "" : name.substr(0, at + 1);
    if (name.find('/', root.size() + kFolder.size()) == std::string::npos) found.push_back({root, name});
  }
  if (found.empty())
    return fail(Code::model, "the archive has no models/model.json")
        .at("{}", file)
        .hint("expected a file that torch.export.save wrote");
  const auto main = std::ranges::find_if(found, [](const Layout& each) {
    return each.program.ends_with("/model.json") || each.program == "models/model.json";
  });
  if (main != found.end()) return *main;
  if (found.size() > 1)
    return fail(Code::unsupported, "the archive holds {} programs and none is named model", found.size())
        .at("{}", file)
        .hint("save one program per file");
  return found[0];
}

class Importer {
 public:
  Importer(const Source& source, const Program& program, Weights& weights)
      : source_(source), program_(program), weights_(weights) {}
  Result<ir::Graph> run();

 private:
  Status check_known() const;
  void find_live();
  Status add_inputs();
  Status convert(size_t index);
  Status check_in_place(size_t index, const Call& call);
  Result<ValueId> matched(const std::string& output, ValueId value);
  Result<ValueId> resolve(const std::string& value);
  ValueId storage(ValueId value);
  Status define(const std::string& value, ValueId id);

  const Source& source_;
  const Program& program_;
  Weights& weights_;
  Builder builder_;
  std::unordered_map<std::string, ValueId> values_;
  std::unordered_map<std::string, const InputSpec*> lifted_;     // parameters and buffers not read yet
  std::unordered_map<std::string, size_t> last_use_;             // value -> last node that reads it
  std::unordered_map<ValueId, ValueId> storage_;                 // value -> the value whose bytes it shows
  std::unordered_map<ValueId, std::vector<std::string>> shows_;  // and back
  std::vector<bool> live_;
};

bool changes_operand(const NodeRecord& node) { return out_of_place(node.target) != node.target; }

// Calls f with the name of every tensor that the node reads.
template <class F>
Status each_operand(const Program& program, const NodeRecord& node, F&& f) {
  QUOIN_TRY(const Arguments arguments, program.arguments(node));
  for (const auto& [name, argument] : arguments) {
    if (const auto* ref = std::get_if<TensorRef>(&argument)) f(ref->name);
    if (const auto* refs = std::get_if<TensorRefs>(&argument))
      for (const auto& ref : *refs)
        if (ref) f(ref->name);
  }
  return {};
}

// Nodes that no output depends on: assertions, guards, sizes, dead code.
void Importer::find_live() {
  const auto& nodes = program_.nodes();
  std::unordered_set<std::string> needed(program_.outputs().begin(), program_.outputs().end());
  live_.assign(nodes.size(), false);
  for (const std::string& output : program_.outputs()) last_use_[output] = nodes.size();
  for (size_t i = nodes.size(); i-- > 0;) {
    const NodeRecord& node = nodes[i];
    live_[i] = (changes_operand(node) && !node.outputs.empty()) ||
               std::ranges::any_of(node.outputs, [&](const std::string& output) { return needed.contains(output); });
    if (!live_[i]) continue;
    // Arguments that cannot be read are reported when the node is converted.
    (void)each_operand(program_, node, [&](const std::string& name) {
      needed.insert(name);
      last_use_.try_emplace(name, i);
    });
  }
}

Status Importer::check_known() const {
  std::vector<Unknown> unknown;
  for (size_t i = 0; i < live_.size(); ++i) {
    const NodeRecord& node = program_.nodes()[i];
    if (live_[i] && !find_conversion(node.target))
      unknown.push_back({node.target, node.name, node.modules.empty() ? "" : node.modules.back().path});
  }
  if (unknown.empty()) return {};
  const auto known = op_names();
  return fail(unknown_operators(unknown, source_.path, known));
}

Status Importer::define(const std::string& value, ValueId id) {
  if (!values_.emplace(value, id).second) return fail(Code::model, "value \"{}\" is defined twice", value);
  shows_[storage(id)].push_back(value);
  return {};
}

Status Importer::add_inputs() {
  for (const InputSpec& spec : program_.inputs()) {
    if (spec.kind == InputSpec::Kind::ignored) {
      source_.diagnostics.info(
          source_.path, "an input that is no tensor is dropped: its value was fixed when the model was exported");
      continue;
    }
    if (spec.kind != InputSpec::Kind::user) {
      if (!lifted_.emplace(spec.value, &spec).second)
        return fail(Code::model, "input \"{}\" is defined twice", spec.value);
      continue;
    }
    auto meta = program_.meta(spec.value);
    if (!meta) return std::move(meta).failure().at("input {}", spec.value);
    if (lifted_.contains(spec.value)) return fail(Code::model, "input \"{}\" is defined twice", spec.value);
    QUOIN_CHECK(define(spec.value, builder_.graph.add_input(spec.value, {meta->dtype, meta->shape, nullptr})));
  }
  return {};
}

Result<ValueId> Importer::resolve(const std::string& value) {
  if (const auto found = values_.find(value); found != values_.end()) return found->second;
  const auto lifted = lifted_.find(value);
  if (lifted == lifted_.end())
    return fail(Code::model, "value \"{}\" is read before it is computed", value)
        .hint("the nodes are not in order, or the operator that makes it has no such result here");
  const InputSpec& spec = *lifted->second;
  QUOIN_TRY(Tensor tensor, weights_.read(spec.target));
  QUOIN_TRY(const TensorMeta meta, program_.meta(value));
  if (meta.dtype != tensor.dtype() || meta.shape != tensor.shape())
    return fail(Code::model, "tensor \"{}\" is {}{} in the program and {}{} in the weight table", spec.target,
                name(meta.dtype), to_string(meta.shape), name(tensor.dtype()), to_string(tensor.shape()));
  const ValueId id = builder_.graph.add_constant(spec.target, std::move(tensor));
  QUOIN_CHECK(define(value, id));
  return id;
}

// The value whose bytes torch would share: views reach back to what they show. Operands come before results, so one
// step back is enough.
ValueId Importer::storage(ValueId value) {
  if (const auto found = storage_.find(value); found != storage_.end()) return found->second;
  const ir::NodeId maker = builder_.graph.value(value).producer;
  ValueId root = value;
  if (maker != kNone && builder_.graph.node(maker).schema->traits.moves_data) {
    const ValueId base = builder_.graph.input(maker, 0);
    const auto found = storage_.find(base);
    if (base != kNone) root = found == storage_.end() ? base : found->second;
  }
  return storage_.emplace(value, root).first->second;
}

// relu_(x) also changes x, and every view of x. Later reads of x are led to the result; later reads of other views
// would silently see the old value, so they are refused.
Status Importer::check_in_place(size_t index, const Call& call) {
  const char* operand = call.is_tensor("self") ? "self" : "input";
  if (!call.is_tensor(operand)) return fail(Code::unsupported, "{} has no operand to change", call.node.target);
  const std::string& changed = std::get<TensorRef>(*call.find(operand)).name;
  QUOIN_TRY(const ValueId id, resolve(changed));
  if (lifted_.contains(changed))
    return fail(Code::unsupported, "parameter or buffer \"{}\" is changed in place", changed);
  const ValueId bytes = storage(id);
  for (const std::string& other : shows_[bytes]) {
    const ValueId value = values_.at(other);
    const auto last = last_use_.find(other);
    if (value == id || storage(value) != bytes || last == last_use_.end() || last->second <= index) continue;
    return fail(Code::unsupported, "\"{}\" is changed in place while \"{}\", which shares its bytes, is read later",
                changed, other)
        .hint("export again with run_decompositions(), which removes such changes");
  }
  return {};
}

// The file's own type of a result must agree. torch has promotion rules that depend on how a value was made (a
// zero-dim tensor yields to a larger one); where the element type differs, the file is right.
Result<ValueId> Importer::matched(const std::string& output, ValueId value) {
  const auto meta = program_.meta(output);
  if (!meta && meta.error().code == Code::model) return fail(meta.error());
  if (!meta) return value;
  const TensorType& type = builder_.graph.value(value).type;
  if (type.shape != meta->shape)
    return fail(Code::model, "result \"{}\" has shape {} in the file, its operands give {}", output,
                to_string(meta->shape), to_string(type.shape));
  if (type.dtype == meta->dtype) return value;
  return builder_.step("aten.to.dtype", {value}, {{"dtype", std::string(name(meta->dtype))}});
}

Status Importer::convert(size_t index) {
  const NodeRecord& node = program_.nodes()[index];
  QUOIN_TRY(Arguments arguments, program_.arguments(node));
  const Resolve resolver = [this](const std::string& value) { return resolve(value); };
  const Call call(builder_, node, std::move(arguments), resolver);
  if (changes_operand(node)) QUOIN_CHECK(check_in_place(index, call));
  builder_.begin(node.name.empty() ? node.target : node.name, {node.modules, node.source, index + 1, {node.name}});
  QUOIN_TRY(const Values results, find_conversion(node.target)(call));
  if (results.size() > node.outputs.size() && node.outputs.size() != 1)
    return fail(Code::model, "{} results, the file names {}", results.size(), node.outputs.size());
  for (size_t i = 0; i < std::min(results.size(), node.outputs.size()); ++i) {
    QUOIN_TRY(const ValueId id, matched(node.outputs[i], results[i]));
    QUOIN_CHECK(define(node.outputs[i], id));
  }
  if (changes_operand(node) && !results.empty()) {
    const char* operand = call.is_tensor("self") ? "self" : "input";
    const ValueId before = values_.at(std::get<TensorRef>(*call.find(operand)).name);
    const ValueId after = values_.at(node.outputs[0]);
    const std::vector<std::string> names = shows_[storage(before)];
    for (const std::string& name : names) {
      if (values_.at(name) != before) continue;
      values_.at(name) = after;
      shows_[storage(after)].push_back(name);
    }
  }
  return {};
}

Result<ir::Graph> Importer::run() {
  if (program_.nodes().size() > kMaxNodes)
    return fail(Code::limit, "{} nodes, at most {} are read", program_.nodes().size(), kMaxNodes);
  find_live();
  QUOIN_CHECK(check_known());
  QUOIN_CHECK(add_inputs());
  for (size_t i = 0; i < live_.size(); ++i) {
    if (!live_[i]) continue;
    const NodeRecord& node = program_.nodes()[i];
    QUOIN_CHECK_AT(convert(i), "{}", place(node.name, node.target, node.modules));
  }
  Values outputs;
  for (const std::string& output : program_.outputs()) {
    auto id = resolve(output);
    if (!id) return std::move(id).failure().at("output {}", output);
    outputs.push_back(*id);
  }
  if (outputs.empty()) return fail(Code::model, "the program has no tensor as output");
  builder_.graph.set_outputs(std::move(outputs));
  return std::move(builder_.graph);
}

}  // namespace
}  // namespace pt2

Result<ir::Graph> import_pt2(const Source& source) {
  QUOIN_TRY(Archive archive, Archive::open(source.bytes, source.path));
  QUOIN_TRY(const pt2::Layout layout, pt2::find_layout(archive, source.path));
  if (const std::string order = layout.root + "byteorder"; archive.contains(order)) {
    QUOIN_TRY(const Blob text, archive.read(order, 64));
    if (text.text() != "little")
      return fail(Code::unsupported, "big-endian weights are not supported").at("{}", source.path);
  }
  QUOIN_TRY(const Blob text, archive.read(layout.program, pt2::kMaxProgram));
  QUOIN_TRY(pt2::Weights weights, pt2::Weights::open(archive, layout.root, source.path));
  Dims dims(source.options, source.diagnostics);
  QUOIN_TRY(const pt2::Program program,
            pt2::Program::parse(text.text(), source.path + "/" + layout.program, dims, source.diagnostics));
  dims.report_unused(source.path);
  return pt2::Importer(source, program, weights).run();
}

}  // namespace quoin::import
