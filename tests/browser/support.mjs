// Starts the real binary and reads from its standard output where it listens.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

// Another build can be tried: BINARY=/path/to/graph-photo-proxy. (Names that begin as the product's
// settings do are the product's: it refuses one that it does not know.)
const binary = process.env.BINARY
  ?? new URL('../../target/debug/graph-photo-proxy', import.meta.url).pathname;

/** The demo, on free ports; without an admin listener unless a flag says where. */
export async function startDemo(...flags) {
  const usual = [['--listen', '127.0.0.1:0'], ['--demo-listen', '127.0.0.1:0'], ['--admin', 'off']];
  const rest = usual.filter(([flag]) => !flags.includes(flag)).flat();
  const child = spawn(binary, ['demo', ...rest, ...flags],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const addresses = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const [name, address] = line.split(' ');
    addresses[name] = address;
    if (name === 'demo') break;
  }
  if (!addresses.demo) throw new Error('the demo did not start');
  return { ...addresses, page: addresses.demo, proxy: addresses.listen, stop: () => child.kill('SIGTERM') };
}

/** Chromium as the system has it. */
export const launch = (...args) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', ...args],
});
