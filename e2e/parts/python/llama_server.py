"""Runs llama.cpp's own HTTP server: `llama_server.py MODEL.gguf PORT [API_KEY]`.

It speaks the OpenAI and the Anthropic interface. It ends when its standard input does, so it cannot
outlive the test that started it.
"""

import os
import sys
import threading

import xllamacpp


def main(model, port, api_key=None):
    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.model_alias = {"tiny-llama"}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = int(port)
    wanted.n_ctx = 4096
    wanted.n_parallel = 4
    wanted.cpuparams.n_threads = 1
    wanted.endpoint_metrics = True
    wanted.embedding = True
    wanted.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    wanted.use_jinja = True
    if api_key:
        wanted.api_keys = [api_key]
    server = xllamacpp.Server(wanted)
    print("ready at", server.listening_address, flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    threading.Event().wait()


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)  # the server's threads know no other end


if __name__ == "__main__":
    main(*sys.argv[1:])
