"""Models that PyTorch quantized: the command explains, lowers and runs them as integers; docs/qat.md's commands work."""

import os
import re
import shlex
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

FOLDER = os.path.join(ROOT, "tests", "models", "quantized")
VISION = ["static_per_channel", "static_per_tensor", "static_uint8", "static_int16", "trained_per_channel",
          "trained_per_tensor"]
DYNAMIC = ["dynamic_per_channel", "dynamic_per_tensor", "affine_dynamic_int4_groups", "affine_dynamic_int8_channels"]
FLOAT = ["affine_weights_int4_groups", "affine_weights_int8_channels", "affine_embedding", "buffers"]
STEP = 0.0025  # the largest step of the vision models' outputs, rounded up


def model(name: str) -> str:
    return os.path.join(FOLDER, name + ".pt2")


def stored(name: str) -> Dict[str, Tuple[Dict, bytes]]:
    with open(os.path.join(FOLDER, name + ".safetensors"), "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(size)), file.read()
    return {key: (entry, data[slice(*entry["data_offsets"])]) for key, entry in header.items() if key != "__metadata__"}


def npy(path: str) -> List[float]:
    with open(path, "rb") as file:
        content = file.read()
    start = 10 + struct.unpack("<H", content[8:10])[0]
    assert b"'<f4'" in content[:start], content[:start]
    return list(struct.unpack(f"<{(len(content) - start) // 4}f", content[start:]))


class Quantized(CommandTest):
    def runs(self, program: str, name: str) -> Tuple[str, float]:
        """The name of the output and its largest difference to torch's."""
        tensors = stored(name)
        entry, data = tensors["input"]
        safetensors(self.path("input.safetensors"), {"input": (entry["dtype"], entry["shape"], data)})
        with tempfile.TemporaryDirectory() as folder:
            self.succeeds("run", program, "--input", self.path("input.safetensors"), "--output", folder, "-q")
            files = os.listdir(folder)
            self.assertEqual(len(files), 1)
            found = npy(os.path.join(folder, files[0]))
        expected = struct.unpack(f"<{len(found)}f", tensors["output"][1])
        return files[0], max(abs(a - b) for a, b in zip(found, expected))

    def test_models_and_their_programs_compute_what_torch_computes(self):
        for name in VISION + DYNAMIC + FLOAT:
            program = self.path(name + ".quoin")
            self.succeeds("quantize", model(name), "-o", program)
            names = set()
            for path in (model(name), program):
                output, difference = self.runs(path, name)
                self.assertLess(difference, STEP if name in VISION else 1e-6, path)
                names.add(output)
            self.assertEqual(len(names), 1, f"{name}: the program renames the output")

    def test_integer_operators_stay_integers(self):
        for name in VISION + DYNAMIC:
            result = self.json_of("quantize", model(name), "-o", self.path("out.quoin"))
            computing = [row for row in result["placement"]
                         if not row["op"].startswith("quoin.") or "linear_dynamic" in row["op"]]
            in_float = [row["op"] for row in computing if not row["integer"]]
            self.assertEqual(in_float, ["aten.gelu.default"] if name in DYNAMIC else [], name)

    def test_the_cpu_plugin_takes_int8_models_whole(self):
        for name in ("static_per_channel", "static_per_tensor", "trained_per_channel", "trained_per_tensor"):
            result = self.json_of("quantize", model(name), "-o", self.path("out.quoin"))
            self.assertEqual({row["backend"] for row in result["placement"]}, {"cpu"}, name)

    def test_explain_says_how_the_model_is_quantized(self):
        text = self.succeeds("explain", model("static_per_channel"))
        self.assertIn("quantized in the model: input s8 -128..127 per tensor, weight s8 -127..127 per channel", text)
        self.assertIn("goes with", text)
        self.assertNotIn("float", text)
        self.assertIn("in groups of 32", self.succeeds("explain", model("affine_dynamic_int4_groups")))

    def test_tensor_subclasses_are_refused_with_a_way_out(self):
        import zipfile
        path = self.path("subclass.pt2")
        with zipfile.ZipFile(model("affine_weights_int8_channels")) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name).replace(b"torch.ops.torchao.dequantize_affine.default",
                                                    b"torch.ops.export.access_subclass_inner_tensor.default")
                target.writestr(name, content)
        self.fails(7, ["tensor subclass", "unwrap_tensor_subclass"], "explain", path)

    def test_commands_of_the_page_work(self):
        with open(os.path.join(ROOT, "docs", "qat.md"), encoding="utf-8") as file:
            commands = re.findall(r"^    quoin (.*)$", file.read(), re.MULTILINE)
        self.assertGreaterEqual(len(commands), 3)
        _, data = stored("trained_per_channel")["input"]
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 8, 8), }"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        self.write("input.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)
        os.symlink(os.path.join(ROOT, "tests"), self.path("tests"))
        before = os.getcwd()
        os.chdir(self._folder.name)
        try:
            for command in commands:
                self.succeeds(*shlex.split(command))
        finally:
            os.chdir(before)


tap.run(Quantized)
