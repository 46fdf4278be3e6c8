import os
import time

import litserve as ls


class Noop(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["text"]

    def predict(self, text):
        return text

    def encode_response(self, output):
        return {"output": output}


class Clock(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["lead"]

    def predict(self, lead):
        time.sleep(lead)
        yield f"{time.time() * 1000:.3f}"

    def encode_response(self, outputs):
        yield from outputs


if __name__ == "__main__":
    apis = [Noop(api_path="/noop"), Clock(api_path="/clock", stream=True)]
    server = ls.LitServer(apis, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="error")
