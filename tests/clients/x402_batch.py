# PyPI's x402 pays for three pages through a channel of batch-settlement: CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... CAUSEWAY_RPC=http://... python x402_batch.py
import os

import requests
from eth_account import Account
from x402 import x402ClientSync
from x402.http import decode_payment_response_header
from x402.http.clients import wrapRequestsWithPayment
from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme
from x402.mechanisms.evm.signers import EthAccountSignerWithRPC

PAGE, TEXT, AMOUNT = (os.environ[name] for name in ("CAUSEWAY_PAGE", "CAUSEWAY_TEXT", "CAUSEWAY_AMOUNT"))
NETWORK = f"eip155:{os.environ['CAUSEWAY_CHAIN']}"
TOKEN = "0xcA05000000000000000000000000000000000008"
PAYER = Account.from_key(os.environ["CAUSEWAY_KEY"])

scheme = BatchSettlementEvmScheme(EthAccountSignerWithRPC(PAYER, os.environ["CAUSEWAY_RPC"]))
client = x402ClientSync()
client.register(NETWORK, scheme)
client.set_spend_controls({"allowed_assets": [{"network": NETWORK, "asset": TOKEN, "max_amount_per_payment": AMOUNT}]})
session = wrapRequestsWithPayment(requests.Session(), client)
for number in range(1, 4):
    answer = session.get(PAGE, timeout=60)
    assert answer.status_code == 200, (answer.status_code, answer.text)
    assert answer.text == TEXT, answer.text
    settled = decode_payment_response_header(answer.headers["PAYMENT-RESPONSE"])
    assert settled.success and bool(settled.transaction) == (number == 1), settled
    state = settled.extra["channelState"]
    assert state["chargedCumulativeAmount"] == str(number * int(AMOUNT)), state
print("x402: one deposit paid for three pages")
