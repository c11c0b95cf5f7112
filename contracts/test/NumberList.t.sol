// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {NumberList} from "../src/bridge/NumberList.sol";
import {Base} from "./Base.sol";

/// The list of numbers against an array.
contract NumberListTest is Base {
    using NumberList for NumberList.List;

    NumberList.List private _list;
    uint256[] private _naive;

    function testFuzz_the_list_keeps_the_order_of_arrival(uint256 seed) public {
        for (uint256 step = 1; step <= 40; ++step) {
            uint256 roll = uint256(keccak256(abi.encode(seed, step)));
            if (_naive.length != 0 && roll % 3 == 0) {
                uint256 index = (roll >> 8) % _naive.length;
                _list.remove(_naive[index]);
                for (uint256 i = index; i + 1 < _naive.length; ++i) {
                    _naive[i] = _naive[i + 1];
                }
                _naive.pop();
            } else {
                _list.append(step);
                _naive.push(step);
            }
            uint256[] memory all = _list.behind(0, type(uint256).max);
            vm.assertEq(all.length, _naive.length);
            for (uint256 i = 0; i < all.length; ++i) {
                vm.assertEq(all[i], _naive[i]);
            }
        }
        if (_naive.length > 2) {
            uint256[] memory some = _list.behind(_naive[0], 2);
            vm.assertEq(some.length, 2);
            vm.assertEq(some[0], _naive[1]);
            vm.assertEq(some[1], _naive[2]);
        }
    }
}
