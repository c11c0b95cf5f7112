// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Numbers (never 0) in the order of their arrival, from which any can be taken out: a ring with 0 as its head. One slot for each.
library NumberList {
    struct Links {
        uint128 previous;
        uint128 next;
    }

    struct List {
        mapping(uint256 number => Links) links;
    }

    /// `number` must not be in the list.
    function append(List storage list, uint256 number) internal {
        uint128 last = list.links[0].previous;
        list.links[number] = Links(last, 0);
        list.links[last].next = uint128(number);
        list.links[0].previous = uint128(number);
    }

    /// `number` must be in the list.
    function remove(List storage list, uint256 number) internal {
        Links memory removed = list.links[number];
        list.links[removed.previous].next = removed.next;
        list.links[removed.next].previous = removed.previous;
        delete list.links[number];
    }

    /// At most `limit` numbers behind `number` (0: from the start).
    function behind(List storage list, uint256 number, uint256 limit) internal view returns (uint256[] memory numbers) {
        uint256 count = 0;
        for (uint256 next = list.links[number].next; next != 0 && count < limit; next = list.links[next].next) {
            ++count;
        }
        numbers = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            number = list.links[number].next;
            numbers[i] = number;
        }
    }
}
