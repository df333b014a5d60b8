// Models and graphs as the flat structs that the verifier, the memory planner and runtimes read (view/view.hpp). Texts,
// lists and tensors stay where they are: in the model, which must outlive what is made here.
#pragma once

#include "base/arena.hpp"
#include "program/model.hpp"
#include "program/view/view.hpp"

namespace quoin::program {

// What view::open() makes of the model's file, not verified yet; places in a file are left out. Errors: those of
// check().
Result<view::Program*> flatten(const Model& model, Arena& arena);

// One graph, as it is. Precondition: its shapes are legal.
view::Graph& flatten(const Graph& graph, Arena& arena);

// Shape and dynamic dims only.
view::Value flatten_dims(const Value& value);

}  // namespace quoin::program
