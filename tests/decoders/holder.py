"""Has a process decode an image for ever, or wait for the next one, and says which process it is."""

import sys
import threading
import time

from shared.decoding.decoder import DecoderProcess
from shared.images import Limits

decoder = DecoderProcess(1 << 30, command=sys.argv[2:], cpu_limit=3600)
decoder_thread = threading.Thread(target=decoder.decode, args=(sys.argv[1].encode(), 8, 1.0, Limits()))
decoder_thread.start()
while decoder.pid is None:
    time.sleep(0.01)
print(decoder.pid, flush=True)
time.sleep(3600)
