// One row per verb of the `quoin` command; a new verb is a row in verbs() and a file of its own.
#pragma once

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "flow/flow.hpp"

namespace quoin::cli {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

// What every verb gets: parsed options, where notes go, how to print.
struct Invocation {
  po::variables_map options;
  Diagnostics diagnostics;
  bool json = false, quiet = false;
  bool answered = false;  // the JSON document was printed; an error adds no second one
  bool has(const std::string& name) const { return options.count(name) != 0; }
  std::string text(const std::string& name) const {
    return has(name) ? options[name].as<std::string>() : std::string();
  }
  std::vector<std::string> list(const std::string& name) const {
    return has(name) ? options[name].as<std::vector<std::string>>() : std::vector<std::string>();
  }
};

struct Verb {
  std::string name;
  std::string summary;  // one line for `quoin --help`
  std::string usage;    // "MODEL -c RECIPE -o PROGRAM"
  std::string details;  // what it does, with an example
  std::vector<std::string>
      positional;  // option names that positional arguments fill; a last one that is a list repeats
  void (*add_options)(po::options_description&);
  Status (*run)(Invocation&);
};
std::span<const Verb> verbs();

Verb quantize_verb();
Verb calibrate_verb();
Verb export_verb();
Verb run_verb();
Verb eval_verb();
Verb generate_verb();
Verb bench_verb();
Verb explain_verb();
Verb inspect_verb();
Verb verify_verb();
Verb plugin_verb();
Verb completion_verb();

}  // namespace quoin::cli
