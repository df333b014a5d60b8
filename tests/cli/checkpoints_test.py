"""Language models whose files are damaged or disagree: named errors, the right exit code, and no program written."""

import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *
from language import *

UP = "model.layers.0.mlp.up_proj.weight"


class Checkpoints(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.config, self.tensors = tiny_config(), tiny_tensors()

    def refused(self, code: int, words: List[str], model: str = "") -> None:
        if not model:
            model = self.path("model")
            write_model(model, self.config, {"model.safetensors": self.tensors})
        program = self.path("tiny.quoin")
        self.fails(code, words, "quantize", model, "-o", program)
        self.assertFalse(os.path.exists(program), "nothing half-written")

    def shards(self) -> Dict[str, Tensors]:
        first, second = {}, {}
        for name, tensor in self.tensors.items():
            (first if ".mlp." in name else second)[name] = tensor
        return {"a.safetensors": first, "b.safetensors": second}

    def test_sound_checkpoints_give_one_program(self):
        write_model(self.path("single"), self.config, {"model.safetensors": self.tensors})
        write_model(self.path("sharded"), self.config, self.shards())
        safetensors(self.path("ids.safetensors"), {"tokens": ("I64", [3], integers([1, 2, 3])),
                                                   "positions": ("I64", [3], integers([0, 1, 2]))})
        logits = []
        for name in ("single", "sharded"):
            program, outputs = self.path(name + ".quoin"), self.path(name + "_outputs")
            self.succeeds("quantize", self.path(name), "-o", program)
            self.succeeds("run", program, "--method", "score", "--input", self.path("ids.safetensors"), "--output", outputs)
            for file in os.listdir(outputs):
                with open(os.path.join(outputs, file), "rb") as written:
                    logits.append(written.read())
        self.assertEqual(len(logits), 2)
        self.assertEqual(logits[0], logits[1])

    def test_a_missing_shard(self):
        write_model(self.path("model"), self.config, self.shards())
        os.remove(self.path("model/a.safetensors"))
        self.refused(NOT_FOUND, ["a.safetensors is missing", "model.layers.0.mlp."], self.path("model"))

    def test_a_truncated_shard(self):
        write_model(self.path("model"), self.config, self.shards())
        os.truncate(self.path("model/a.safetensors"), 3000)
        self.refused(MODEL, ["a.safetensors"], self.path("model"))

    def test_a_missing_tensor(self):
        del self.tensors[UP]
        self.refused(MODEL, [f"tensor {UP} is missing"])

    def test_a_tensor_that_nothing_reads(self):
        self.tensors["model.layers.0.mlp.router.weight"] = self.tensors[UP]
        self.refused(MODEL, ["router.weight"])

    def test_a_tensor_of_another_shape(self):
        self.tensors[UP] = ("F32", [32, 48], self.tensors[UP][2])
        self.refused(MODEL, [UP, "[32, 48]", "intermediate_size 48"])

    def test_a_weight_that_is_no_number(self):
        values = bytearray(self.tensors[UP][2])
        struct.pack_into("<f", values, 4 * (5 * 32 + 7), float("nan"))
        self.tensors[UP] = ("F32", [48, 32], bytes(values))
        self.refused(MODEL, [UP, "element [5, 7] is NaN"])

    def test_a_name_that_occurs_twice(self):
        write_model(self.path("model"), self.config, {"model.safetensors": self.tensors})
        with open(self.path("model/model.safetensors"), "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header, data = file.read(size), file.read()
        header = header.replace(b"mlp.up_proj.", b"mlp.gate_proj.")
        self.write("model/model.safetensors", struct.pack("<Q", len(header)) + header + data)
        self.refused(MODEL, ["model.layers.0.mlp.gate_proj.weight", "twice"], self.path("model"))

    def test_a_configuration_that_disagrees(self):
        self.config["intermediate_size"] = 64
        self.refused(MODEL, ["mlp.", "intermediate_size 64"])

    def test_a_configuration_with_more_layers(self):
        self.config["num_hidden_layers"] = 2
        self.refused(MODEL, ["model.layers.1."])

    def test_a_configuration_that_is_no_json(self):
        write_model(self.path("model"), self.config, {"model.safetensors": self.tensors})
        with open(self.path("model/config.json"), "w", encoding="utf-8") as file:
            file.write("{")
        self.refused(MODEL, ["config.json"], self.path("model"))

    def test_an_architecture_that_is_not_known(self):
        self.config["model_type"] = "mamba"
        self.refused(7, ["mamba"])

    def test_a_folder_without_configuration_or_weights(self):
        write_model(self.path("model"), self.config, {"model.safetensors": self.tensors})
        os.remove(self.path("model/config.json"))
        self.refused(NOT_FOUND, ["config.json"], self.path("model"))
        os.remove(self.path("model/model.safetensors"))
        self.refused(NOT_FOUND, ["model.safetensors"], self.path("model"))

    def test_gguf_files_that_end_too_soon(self):
        whole = b"GGUF" + struct.pack("<IQQ", 3, 2, 1) + struct.pack("<Q", 20) + b"general.architecture"
        for size in (0, 3, 10, 30, len(whole)):
            with self.subTest(size=size):
                self.refused(MODEL, ["truncated"], self.write("w.gguf", whole[:size]))

    def test_rules_that_do_not_fit_the_model(self):
        write_model(self.path("model"), self.config, {"model.safetensors": self.tensors})
        recipe = self.write("r.yaml", b"""quantize:
  source:
    rules:
      - {module: 'model.layers.0.mlp.up_prj', quantizer: weight-only}
""")
        self.fails(RECIPE_ERROR, ["r.yaml:4:9", "did you mean \"model.layers.0.mlp.up_proj\"?"], "quantize", self.path("model"), "-c",
                   recipe, "-o", self.path("t.quoin"))

    def test_errors_are_json_if_asked(self):
        del self.tensors[UP]
        write_model(self.path("model"), self.config, {"model.safetensors": self.tensors})
        done = quoin("quantize", self.path("model"), "-o", self.path("t.quoin"), "--json")
        self.assertEqual(done.returncode, MODEL)
        error = json.loads(done.stdout)
        self.matches_schema(error, "error")
        self.assertEqual(error["error"]["exit_code"], MODEL)
        self.assertIn(UP, error["error"]["what"])


tap.run(Checkpoints)
