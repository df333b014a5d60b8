"""Writes tests/tokenize/fixtures: small tokenizers of each kind, and what the reference packages make of some texts.

Needs the packages tokenizers and sentencepiece. Usage: make_fixtures.py
"""

import json
import os
import tempfile
from typing import Dict, List

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")

CORPUS = """The lighthouse keeper counts 12 ships and 345 gulls before breakfast.
She doesn't hurry; the tide won't wait, but the kettle will.
"Isn't it late?" he asked. "It's 2024," they'd answer, "and we're early."
for (int i = 0; i < 100; ++i) {\n    total += values[i] * 3.14159;\n\treturn total;\r\n}
Größe, naïve cafés und Straßen; Ελλάδα και Αθήνα; Привет, мир; שלום; مرحبا بالعالم; नमस्ते दुनिया.
日本語の文章と漢字。中文的句子，标点符号！한국어 문장도 있다.
Numbers: 7 77 777 7777 77777 and ½, Ⅷ, ٣٤٥.
Emoji come last: 😀 👩‍👩‍👧 👍🏽 🇩🇪 ❤️ and again 😀😀.
    indented    with     many   spaces\t\tand tabs\n\n\n
The keeper, the gulls, the ships, the kettle, the tide: the lighthouse keeps them all.
"""

TEXTS = CORPUS.split("\n") + [
    "", " ", "   ", "\n", " \n \n", "a", " a", "a ", "  two  spaces  ", "tab\there\r\n", "\u00a0nbsp\u2003em\u3000wide",
    "DON'T SHOUT, IT'S LATE", "cafe\u0301 café", "\ufb01ne \u2460 \uff21\uff22", "▁ is a character", "Ġ is, too",
    "<s>", "a<s>b", "</s> end", "<|end|>x <|end|> <|end|>", "the <pad> the", "key keys  key", "x  = 1", "Note:   spaces",
    "😀", "👩‍👩‍👧", "\U0001d518\U0001d52b\U0001d526", "\x01\x7f\u200b\u2028", "𒀀𒁀", "<0x41>", "unknownß漢字 ♞♜",
]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")


def lines() -> List[str]:
    return CORPUS.splitlines(True) * 3


def byte_level(pre, normalizer=None, specials=("<|begin|>", "<|end|>")) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(specials), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines(), trainer)
    return tokenizer


def split(pattern: str, behavior: str = "isolated"):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train_sentencepiece(name: str, size: int, **options) -> str:
    with tempfile.TemporaryDirectory() as folder:
        text, rules = os.path.join(folder, "text"), os.path.join(folder, "rules.tsv")
        with open(text, "w", encoding="utf-8") as file:
            file.write(CORPUS * 3)
        with open(rules, "w", encoding="utf-8") as file:  # fi ligature, circled one, wide A, tab, wide space
            file.write("FB01\t66 69\n2460\t31\nFF21\t41\n9\t20\n3000\t20\n65 301\tE9\n")
        if options.pop("rules", False):
            options["normalization_rule_tsv"] = rules
        else:
            options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(input=text, model_prefix=os.path.join(FOLDER, name), vocab_size=size,
                                                 hard_vocab_limit=False, minloglevel=2, character_coverage=0.985, **options)
    os.remove(os.path.join(FOLDER, name + ".vocab"))
    return os.path.join(FOLDER, name + ".model")


def converted(model: str) -> Tokenizer:
    """A sentencepiece model as the tokenizer.json that Llama 2 has."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=model)
    vocab = {pieces.id_to_piece(i): i for i in range(pieces.get_piece_size())}
    merges = []
    for piece, index in vocab.items():
        halves = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        found = sorted(((vocab[a], vocab[b]), (a, b)) for a, b in halves if a in vocab and b in vocab)
        if not pieces.is_byte(index):
            merges += [(pieces.get_score(index), pair) for _, pair in found]
    merges.sort(key=lambda merge: merge[0], reverse=True)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[pair for _, pair in merges], unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    return tokenizer


def make_tokenizers() -> Dict[str, Tokenizer]:
    out = {}
    out["gpt2"] = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), specials=("<|end|>",))
    out["llama3"] = byte_level(split(LLAMA3))
    out["llama3"].post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])])
    out["qwen2"] = byte_level(split(LLAMA3.replace("{1,3}", "")), normalizers.NFC())
    out["qwen2"].add_tokens([AddedToken("key", single_word=True, normalized=False), AddedToken("café", normalized=True),
                             AddedToken("=", lstrip=True, normalized=False), AddedToken("Note:", rstrip=True, normalized=True)])
    out["digits"] = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)]))
    out["words"] = byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous"),
                                 pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                              normalizers.Replace(Regex(r"\d{3,}"), "#"), normalizers.Strip()]))
    for behavior in ("removed", "merged_with_previous", "merged_with_next", "contiguous"):
        out["split_" + behavior] = byte_level(split(r"\s|\p{P}", behavior))
    out["llama2"] = converted(train_sentencepiece("bpe", 520, model_type="bpe", byte_fallback=True, split_digits=True,
                                                  remove_extra_whitespaces=False))
    out["metaspace"] = converted(os.path.join(FOLDER, "bpe.model"))
    out["metaspace"].normalizer = None
    out["metaspace"].pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    out["metaspace"].decoder = decoders.Metaspace(prepend_scheme="first", split=True)
    return out


def main() -> None:
    os.makedirs(FOLDER, exist_ok=True)
    expected = {}
    for name, tokenizer in make_tokenizers().items():
        path = os.path.join(FOLDER, name + ".json")
        tokenizer.save(path, pretty=False)
        if name == "llama3":  # merges as older files write them, and words that are tokens stay whole
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
            content["model"]["ignore_merges"] = True
            with open(path, "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False)
            tokenizer = Tokenizer.from_file(path)
        ids = [tokenizer.encode(text).ids for text in TEXTS]
        expected[name + ".json"] = [{"text": text, "ids": row, "decoded": tokenizer.decode(row)}
                                    for text, row in zip(TEXTS, ids)]
    train_sentencepiece("bpe_rules", 300, model_type="bpe", rules=True, user_defined_symbols=["<pad>", "gulls"])
    train_sentencepiece("unigram", 520, model_type="unigram", rules=True, byte_fallback=True, user_defined_symbols=["<pad>"])
    for name in ("bpe", "bpe_rules", "unigram"):
        pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(FOLDER, name + ".model"))
        ids = [[pieces.bos_id()] + pieces.encode(text) for text in TEXTS]
        expected[name + ".model"] = [{"text": text, "ids": row, "decoded": pieces.decode(row)}
                                     for text, row in zip(TEXTS, ids)]
    with open(os.path.join(FOLDER, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, ensure_ascii=True, indent=None, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
