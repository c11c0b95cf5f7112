// hardhat with OpenZeppelin's contracts against a node: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node hardhat.mjs`
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const made = mkdtempSync(join(tmpdir(), 'hardhat-'));
const { status } = spawnSync(
  process.execPath,
  [fileURLToPath(new URL('node_modules/.bin/hardhat', import.meta.url)), 'test', '--network', 'causeway'],
  {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    env: { ...process.env, CAUSEWAY_OUT: made, HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true' },
    stdio: 'inherit',
    timeout: 240_000,
  },
);
rmSync(made, { recursive: true });
process.exit(status ?? 1);
