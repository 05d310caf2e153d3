"""Writes a tiny language model with random weights: `tiny_model.py OUT.gguf`.

Two layers, 64 wide, half a megabyte, the same bytes on every machine. It talks nonsense, but a real
server loads it, counts its tokens and streams them. Nothing is downloaded.
"""

import os
import sys

import gguf
import numpy

WIDTH, LAYERS, HEADS, HIDDEN, CONTEXT = 64, 2, 4, 128, 8192

WORDS = """
the a an of to in on at by for from with without is are was be it this that and or not no yes all one
two three first last I you we he she they can will may must have do say ask answer read write open
close start stop run wait check allow refuse model server gateway request response token policy group
person machine key secret email number street city name record ledger page line word list table row
data class text stream event chunk byte error cause time day hour minute year red green blue black
white small large long short new old fast slow good bad hello world please thanks because when where
who what how why 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w x y z
. , ; : ! ? ( ) [ ] { } - _ / @ # + = ' "
""".split()


def vocabulary():
    """Pieces, scores and kinds: three marks, every byte, then each word with and without its space."""
    pieces = [(b"<unk>", 0.0, gguf.TokenType.UNKNOWN)]
    pieces += [(mark, 0.0, gguf.TokenType.CONTROL) for mark in (b"<s>", b"</s>")]
    pieces += [(f"<0x{byte:02X}>".encode(), -1000.0, gguf.TokenType.BYTE) for byte in range(256)]
    spoken_from = len(pieces)
    known = set()
    for word in WORDS:
        for spelt in ("\u2581" + word, word):
            if spelt not in known:
                known.add(spelt)
                pieces.append((spelt.encode(), -0.001 * len(pieces), gguf.TokenType.NORMAL))
    return pieces, spoken_from


def main(path):
    pieces, spoken_from = vocabulary()
    random = numpy.random.default_rng(20)

    def weights(*shape, spread=0.08):
        return (random.standard_normal(shape) * spread).astype(numpy.float32)

    # Written beside its place and moved there, so that a broken run leaves no half model.
    half = path + ".part"
    out = gguf.GGUFWriter(half, "llama")
    out.add_name("tiny-llama")
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(pieces))
    out.add_tokenizer_model("llama")
    out.add_token_list([piece for piece, _, _ in pieces])
    out.add_token_scores([score for _, score, _ in pieces])
    out.add_token_types([kind for _, _, kind in pieces])
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(True)
    out.add_chat_template(
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant:"
    )

    speaks = weights(len(pieces), WIDTH, spread=1.0)
    speaks[:spoken_from] = 0  # never a mark or a lone byte: answers stay readable and run to their limit
    out.add_tensor("token_embd.weight", weights(len(pieces), WIDTH, spread=1.0))
    out.add_tensor("output.weight", speaks)
    out.add_tensor("output_norm.weight", numpy.ones(WIDTH, numpy.float32))
    square, up, down = (WIDTH, WIDTH), (HIDDEN, WIDTH), (WIDTH, HIDDEN)
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", numpy.ones(WIDTH, numpy.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"blk.{layer}.{name}.weight", weights(*square))
        for name, shape in (("ffn_gate", up), ("ffn_up", up), ("ffn_down", down)):
            out.add_tensor(f"blk.{layer}.{name}.weight", weights(*shape))

    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    os.replace(half, path)


if __name__ == "__main__":
    main(sys.argv[1])
