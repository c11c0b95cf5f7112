# PyPI's x402 pays for a page, by requests and by httpx: CAUSEWAY_PAGE=http://... CAUSEWAY_KEY=0x... python x402_client.py
import asyncio
import os

import requests
from eth_account import Account
from x402 import x402Client, x402ClientSync
from x402.http import decode_payment_response_header
from x402.http.clients import wrapHttpxWithPayment, wrapRequestsWithPayment
from x402.mechanisms.evm.exact import register_exact_evm_client

PAGE, TEXT, AMOUNT = (os.environ[name] for name in ("CAUSEWAY_PAGE", "CAUSEWAY_TEXT", "CAUSEWAY_AMOUNT"))
NETWORK = f"eip155:{os.environ['CAUSEWAY_CHAIN']}"
TOKEN = "0xcA05000000000000000000000000000000000008"
PAYER = Account.from_key(os.environ["CAUSEWAY_KEY"])


def client(kind):
    made = register_exact_evm_client(kind(), PAYER, networks=NETWORK)
    # It pays in tokens that it does not know only if it is told to.
    made.set_spend_controls({"allowed_assets": [{"network": NETWORK, "asset": TOKEN, "max_amount_per_payment": AMOUNT}]})
    return made


def check(status, text, headers):
    assert status == 200, (status, text)
    assert text == TEXT, text
    settled = decode_payment_response_header(headers["PAYMENT-RESPONSE"])
    assert settled.success and settled.network == NETWORK, settled
    assert settled.payer.lower() == PAYER.address.lower(), settled


async def by_httpx():
    async with wrapHttpxWithPayment(client(x402Client), timeout=60) as http:
        response = await http.get(PAGE)
        check(response.status_code, response.text, response.headers)


answer = wrapRequestsWithPayment(requests.Session(), client(x402ClientSync)).get(PAGE, timeout=60)
check(answer.status_code, answer.text, answer.headers)
print("x402 by requests: paid and got the page")
asyncio.run(by_httpx())
print("x402 by httpx: paid and got the page")
