"""web3.py against a node: CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... python web3_client.py"""

import asyncio
import json
import os
import pathlib
import sys
import time

from eth_account import Account
from web3 import AsyncWeb3, Web3
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.providers import WebSocketProvider

URL = os.environ["CAUSEWAY_RPC"]
ACCOUNT = Account.from_key(os.environ["CAUSEWAY_KEY"])
COUNTER = json.loads((pathlib.Path(__file__).parent / "Counter.json").read_text())

w3 = Web3(Web3.HTTPProvider(URL))
# Blocks are faster than web3.py's default pace of asking.
POLL = {"timeout": 30, "poll_latency": 0.05}


def send(fields):
    """Signs with what web3.py fills in by itself; the receipt."""
    filled = {"from": ACCOUNT.address, "nonce": w3.eth.get_transaction_count(ACCOUNT.address, "pending"), "chainId": w3.eth.chain_id}
    filled |= fields
    filled.setdefault("gas", w3.eth.estimate_gas(filled))
    if "gasPrice" not in filled:
        tip = w3.eth.max_priority_fee
        filled |= {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * w3.eth.get_block("latest").baseFeePerGas + tip}
    raw = ACCOUNT.sign_transaction(filled).raw_transaction
    return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(raw), **POLL)


def the_chain_is_known():
    assert w3.is_connected() and w3.client_version.startswith("causeway/v")
    assert w3.eth.chain_id == int(w3.net.version)
    block = w3.eth.get_block("latest", full_transactions=True)
    assert block.number <= w3.eth.block_number and block.baseFeePerGas > 0
    history = w3.eth.fee_history(3, "latest", [10, 90])
    assert len(history.baseFeePerGas) == len(history.reward) + 1


def coins_are_sent_and_waiting_transactions_are_shown_in_full():
    to = Account.create().address
    receipt = send({"to": to, "value": 12_345})
    assert receipt.status == 1 and receipt.gasUsed == 21_000 and w3.eth.get_balance(to) == 12_345
    sent = w3.eth.get_transaction(receipt.transactionHash)
    assert sent.type == 2 and sent.blockHash == receipt.blockHash and sent.gasPrice == receipt.effectiveGasPrice
    assert send({"to": to, "value": 1, "gasPrice": w3.eth.gas_price}).type == 0
    # Behind a missing nonce it waits.
    nonce = w3.eth.get_transaction_count(ACCOUNT.address) + 1
    fields = {"to": to, "value": 1, "nonce": nonce, "gas": 21_000, "chainId": w3.eth.chain_id}
    fields |= {"maxFeePerGas": w3.eth.gas_price, "maxPriorityFeePerGas": 0}
    waiting = w3.eth.send_raw_transaction(ACCOUNT.sign_transaction(fields).raw_transaction)
    shown = w3.eth.get_transaction(waiting)
    assert shown.blockNumber is None and shown.gasPrice == shown.maxFeePerGas
    assert str(nonce) in w3.geth.txpool.content().queued[ACCOUNT.address]
    send({"to": to, "value": 1, "nonce": nonce - 1})
    assert w3.eth.wait_for_transaction_receipt(waiting, **POLL).status == 1
    try:
        w3.eth.get_transaction(b"\x01" * 32)
        raise AssertionError("there is no such transaction")
    except TransactionNotFound:
        pass


def contracts_are_deployed_called_and_their_reverts_told():
    creation = w3.eth.contract(abi=COUNTER["abi"], bytecode=COUNTER["bytecode"]).constructor(5)
    deployed = send({"data": creation.data_in_transaction})
    counter = w3.eth.contract(deployed.contractAddress, abi=COUNTER["abi"])
    assert counter.functions.value().call() == 5
    call = counter.functions.add(7)
    receipt = send({"to": counter.address, "data": counter.encode_abi("add", args=[7])})
    (event,) = counter.events.Counted().process_receipt(receipt)
    assert counter.functions.value().call() == 12 and event.blockNumber == receipt.blockNumber
    assert counter.functions.value().call(block_identifier=deployed.blockNumber) == 5
    logs = counter.events.Counted().get_logs(from_block=deployed.blockNumber)
    assert [log.transactionHash for log in logs] == [receipt.transactionHash]
    for ask in (counter.functions.fail().call, lambda: counter.functions.fail().estimate_gas({"from": ACCOUNT.address})):
        try:
            ask()
            raise AssertionError("it did not fail")
        except ContractLogicError as error:
            assert "as asked" in str(error), error
    proof = w3.eth.get_proof(counter.address, [0])
    assert proof.storageProof[0].value == b"\x0c" or int.from_bytes(proof.storageProof[0].value, "big") == 12
    listed = w3.eth.create_access_list({"from": ACCOUNT.address, "to": counter.address, "data": counter.encode_abi("add", args=[7])})
    assert listed.accessList[0].address.lower() == counter.address.lower()


def errors_are_told_in_words():
    poor = Account.create()
    fields = {"to": ACCOUNT.address, "value": 1, "nonce": 0, "gas": 21_000, "gasPrice": w3.eth.gas_price, "chainId": w3.eth.chain_id}
    try:
        w3.eth.send_raw_transaction(poor.sign_transaction(fields).raw_transaction)
        raise AssertionError("nobody pays for it")
    except Web3RPCError as error:
        assert "insufficient funds" in str(error), error
    try:
        w3.eth.send_raw_transaction(ACCOUNT.sign_transaction(fields).raw_transaction)
        raise AssertionError("the nonce is used")
    except Web3RPCError as error:
        assert "nonce too low" in str(error), error


def filters_are_polled():
    block_filter, log_filter = w3.eth.filter("latest"), w3.eth.filter({"address": Account.create().address})
    receipt = send({"to": ACCOUNT.address})
    deadline = time.monotonic() + 20
    seen = []
    while receipt.blockHash not in seen:
        assert time.monotonic() < deadline, "the block does not come"
        seen += block_filter.get_new_entries()
        time.sleep(0.05)
    assert log_filter.get_all_entries() == [] and w3.eth.uninstall_filter(block_filter.filter_id)


def a_lost_connection_is_made_again_and_subscribed_anew():
    async def heads():
        numbers = []
        async for ws in AsyncWeb3(WebSocketProvider(URL.replace("http", "ws", 1))):
            await ws.eth.subscribe("newHeads")
            async for message in ws.socket.process_subscriptions():
                numbers.append(message["result"]["number"])
                break
            # The first connection is lost in the middle.
            if len(numbers) < 2:
                await ws.provider._ws.close()
                continue
            await ws.provider.disconnect()
            break
        assert numbers[1] > numbers[0], numbers

    asyncio.run(asyncio.wait_for(heads(), 30))


STEPS = (
    the_chain_is_known,
    coins_are_sent_and_waiting_transactions_are_shown_in_full,
    contracts_are_deployed_called_and_their_reverts_told,
    errors_are_told_in_words,
    filters_are_polled,
    a_lost_connection_is_made_again_and_subscribed_anew,
)

if __name__ == "__main__":
    for step in STEPS:
        sentence = step.__name__.replace("_", " ")
        try:
            step()
            print(f"web3.py: {sentence}")
        except Exception:
            print(f"web3.py: NOT SO: {sentence}", file=sys.stderr)
            raise
