#!/usr/bin/env node
// Starts Sluice under Node 24 or newer, wherever one is to be found. This file itself runs under any Node that still starts.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NEEDED = 24;
const source = new URL('../src/main.ts', import.meta.url);
// A package holds JavaScript only: Node strips no types below node_modules.
const main = existsSync(source) ? source : new URL('../dist/src/main.js', import.meta.url);

const majorOf = (version) => Number(/^v?(\d+)\./.exec(version)?.[1] ?? 0);

if (majorOf(process.versions.node) >= NEEDED) await import(main.href);
else runUnder(findNode());

/** The Node that runs npm, when that is new enough; else the one that `npm ci` put into the project. */
function findNode() {
  const npmNode = process.env.npm_node_execpath;
  const npmVersion = /\bnode\/(v\d+\.\S*)/.exec(process.env.npm_config_user_agent ?? '')?.[1] ?? '';
  if (npmNode !== undefined && majorOf(npmVersion) >= NEEDED && existsSync(npmNode)) return npmNode;
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const own = fileURLToPath(new URL(`../node_modules/node/bin/${name}`, import.meta.url));
  if (!existsSync(own)) return null;
  const answer = spawnSync(own, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  return majorOf(answer.stdout ?? '') >= NEEDED ? own : null;
}

/** Becomes that Node's shadow: its streams, its signals, its exit code. */
function runUnder(node) {
  if (node === null) {
    process.stderr.write(
      `sluice: Node ${NEEDED} or newer is needed, this is ${process.versions.node}. ` +
        "Run `npm ci` here, which brings one along, or install one and put it first in PATH.\n",
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`sluice: ${node} does not start: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    // The shell's own convention for a process that a signal ended.
    process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]);
  });
}
