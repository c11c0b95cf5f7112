# For scripts/bitcoind: this file's CacheSizes is another one than that of the files beside it, so it is compiled alone.
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL set_source_files_properties ${CMAKE_SOURCE_DIR}/src/node/chainstate.cpp
    TARGET_DIRECTORY bitcoin_node PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
# And this one needs what only bitcoind has: alone in its object file, it is linked into nothing else.
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL set_source_files_properties ${CMAKE_SOURCE_DIR}/src/init/common.cpp
    TARGET_DIRECTORY bitcoin_common PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
