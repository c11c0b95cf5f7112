// What wallets answer instead of a result, by the numbers of EIP-1193 and EIP-1474.
import { type Words, said } from "./words.ts";

const NOT_SENT = "Nothing was signed, and nothing was sent.";
const LOOK = "As far as this page knows nothing was sent. The list of transactions in your wallet decides.";

export const WALLET: Record<number, Words> = {
  0: said("The wallet failed without a number", "The wallet gave an answer that is neither a result nor an error of its standards.", LOOK, "Look whether the wallet lists a transaction. If it does not, unlock it and try again, or use another wallet."),
  4001: said("You said no in the wallet", "The wallet asked you, and the answer was no, or its window was closed.", NOT_SENT, "If you meant it, all is well. Otherwise press the button again."),
  4100: said("The wallet does not show this account", "This page is not connected with the wallet, or the wallet shows another account by now than the one that was agreed to.", NOT_SENT, "Connect the wallet again, and choose the account in it."),
  4200: said("The wallet cannot do this", "It does not know a method that is needed to send a transaction, or to add a network.", NOT_SENT, "Use another wallet, or the command line: causeway does all that this page does."),
  4900: said("The wallet has no connection", "The wallet reaches none of its networks.", LOOK, "Check the connection to the internet. In the wallet, check the address of this network: it is the one of this page."),
  4901: said("The wallet does not reach this network", "The wallet is connected to other networks, and not to this one.", LOOK, "Choose this network in the wallet, or let this page add it. Its address is the one of this page."),
  4902: said("The wallet does not know this network", "The wallet was asked to use this network, and has not got it or stayed on another.", "Nothing was signed, and nothing was sent: this page gives a wallet that is on another network nothing to sign.", "Press “Add and use this network”. If the wallet refuses, add it there by hand: the address of this page, the chain id at the bottom of it, the symbol BTC, 18 decimal places. Many wallets take https addresses alone."),
  [-32000]: said("The wallet's node does not take this", "The wallet handed the transaction to the node of its network, and the node refused it: too few coins for amount and gas, or a transaction number that does not fit, mostly.", "What a node refuses is not sent, and moves nothing.", "Read the message beside the link that led here. With “nonce”: reset the account's activity in the wallet."),
  [-32001]: said("The wallet has not got this", "The wallet was asked for something that it does not have.", LOOK, "Try again. If it stays so, connect the wallet anew."),
  [-32002]: said("The wallet is busy with an earlier question", "A window of the wallet is open and waits for an answer, maybe behind this one.", NOT_SENT, "Open the wallet and answer there. Then press the button again, if it is still needed."),
  [-32003]: said("The wallet refuses the transaction", "The wallet, or the node of its network, did not take it.", "Nothing moved: what is refused is not sent.", "Read the message. Check amount, account and network in the wallet."),
  [-32004]: said("The wallet cannot do this", "It does not support the method that is needed.", NOT_SENT, "Use another wallet, or the command line."),
  [-32005]: said("The wallet was asked too often", "The wallet, or the node of its network, bounds how often it is asked.", LOOK, "Wait a minute, look whether the wallet lists a transaction, and try again if it does not."),
  [-32006]: said("The wallet speaks another version", "It does not know this version of JSON-RPC.", NOT_SENT, "Bring the wallet up to date, or use another one."),
  [-32600]: said("The wallet does not understand the request", "Wallet and page do not agree on how something is asked.", NOT_SENT, "Bring the wallet up to date, or use another one."),
  [-32601]: said("The wallet does not know the method", "It does not have what is needed to send a transaction, or to add a network.", NOT_SENT, "Bring the wallet up to date, or use another one, or the command line."),
  [-32602]: said("The wallet does not take what it was given", "A part of the request does not suit it. When a network is added, it is the address mostly: many wallets take https alone, or refuse a network whose id they know by another name.", NOT_SENT, "Read the message. Add the network in the wallet by hand, or use another wallet or the command line."),
  [-32603]: said("The wallet failed inside", "The wallet, or the node of its network, failed while it worked on the transaction.", LOOK, "Look whether the wallet lists a transaction. If it does, wait for that. If not, try again; reset the account's activity in the wallet if it speaks of a nonce."),
  [-32700]: said("The wallet got an unreadable answer", "The node that the wallet uses for this network answered something that is no JSON.", LOOK, "Check the network's address in the wallet: it is the one of this page."),
};
