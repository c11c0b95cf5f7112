"""web3.py walks all blocks of a node, some of which hold members' free calls: CAUSEWAY_RPC=http://... CAUSEWAY_SENT='[["0x..."]]' python free.py"""

import json
import os

from web3 import Web3

MOST = 2**64 - 1
w3 = Web3(Web3.HTTPProvider(os.environ["CAUSEWAY_RPC"]))
free = []
for raw in json.loads(os.environ["CAUSEWAY_SENT"])[0]:
    free.append(w3.eth.send_raw_transaction(raw))
for sent in free:
    w3.eth.wait_for_transaction_receipt(sent, timeout=30, poll_latency=0.05)

seen = 0
for number in range(w3.eth.block_number + 1):
    receipts = w3.eth.get_block_receipts(number)
    for sent, receipt in zip(w3.eth.get_block(number, full_transactions=True).transactions, receipts, strict=True):
        assert w3.eth.get_transaction(sent.hash) == sent and w3.eth.get_transaction_receipt(sent.hash) == receipt
        is_free = sent.maxFeePerGas == MOST
        assert sent.type == 2 and receipt.status == 1 and (receipt.effectiveGasPrice == sent.gasPrice == 0) == is_free
        seen += is_free
assert seen == 1
print("web3.py: blocks with free calls are walked")
