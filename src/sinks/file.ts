import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import { identityId } from '../stix/id.ts';
import { renderEntry } from '../stix/render.ts';
import type { SinkKind } from './sink.ts';
