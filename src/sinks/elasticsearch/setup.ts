import type { EcsDestination } from '../../ecs/data-stream.ts';
import { type EcsMappings, ecsMappings } from '../../ecs/mapping.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import type { SetupStep } from '../sink.ts';
import { type Connection, ErrorResponse, toGatewayError } from './connection.ts';
import type { ElasticsearchOptions } from './options.ts';

/** Goes up by one whenever a template changes. */
const VERSION = 1;
/** Above Elastic's built-in templates for `logs-*-*` (100) and those of its integrations (200). */
const PRIORITY = 700;
const COMPONENT = 'ti_sluice@mappings';
const CUSTOM = 'ti_sluice@custom';
const PIPELINE = `ti_sluice-${VERSION}`;
const HOOK = 'ti_sluice@custom';
/** How long the data stream keeps documents, as Elastic's integration does. The transform has read them long before. */
const RETENTION = '5d';

/** The requests that a target needs before the first push, in order. */
export function setupOf(options: ElasticsearchOptions, destination: EcsDestination): SetupStep[] {
  return [...targetSteps(options, destination), ...credentialSteps(options.target, destination)];
}

/** Least privilege: to push, and for `latest` to search for what has to leave. The setup itself needs more (docs/elasticsearch.md). */
function credentialSteps(
  target: ElasticsearchOptions['target'],
  { name: destination, index }: EcsDestination,
): SetupStep[] {
  const isLatest = target === 'latest';
  const names = isLatest ? [destination, index] : [destination];
  const privileges = isLatest ? ['index', 'delete', 'read', 'maintenance'] : ['create_doc', 'auto_configure'];
  const role = { cluster: [], indices: [{ names, privileges }] };
  const name = `sluice_${target}`;
  const byHand = true as const;
  const key = { name: 'sluice', role_descriptors: { [name]: role } };
  return [
    { name: 'by hand: role of the sink', method: 'PUT', path: `/_security/role/${name}`, body: role, byHand },
    { name: 'by hand: or an API key with the same', method: 'POST', path: '/_security/api_key', body: key, byHand },
  ];
}

function targetSteps({ target, stream }: ElasticsearchOptions, destination: EcsDestination): SetupStep[] {
  const common = [pipelineStep(), mappingsStep()];
  if (target === 'latest') return [...common, latestTemplate(destination), latestIndex(destination)];
  if (target === 'compat')
    return [...common, streamTemplate('logs-ti.socdefenders', 'logs-ti.socdefenders-*', FORGIVING)];
  const name = `logs-ti_sluice.${stream}`;
  return [
    ...common,
    streamTemplate(name, `${name}-*`),
    transformTemplate(stream),
    transformPipeline(),
    transformStep(stream, destination.name),
    transformStart(stream),
  ];
}

/** Runs the pipeline `ti_sluice@custom` where it exists, so that users can change documents as with Elastic's integrations. */
function pipelineStep(): SetupStep {
  const meta = { description: `Sluice: put your own processors into ${HOOK}.`, version: VERSION };
  return {
    name: 'ingest pipeline',
    method: 'PUT',
    path: `/_ingest/pipeline/${PIPELINE}`,
    body: {
      ...meta,
      processors: [
        // The transform finds new documents by this time.
        { set: { field: 'event.ingested', copy_from: '_ingest.timestamp' } },
        { pipeline: { name: HOOK, ignore_missing_pipeline: true } },
      ],
    },
    otherwise: [{ ...meta, processors: [] }],
  };
}

function mappingsStep(): SetupStep {
  const templateOf = (mappings: EcsMappings): JsonObject => ({
    template: { mappings: withIngested(mappings) },
    version: VERSION,
  });
  return {
    name: 'component template: mappings',
    method: 'PUT',
    path: `/_component_template/${COMPONENT}`,
    body: templateOf(ecsMappings()),
    // For a node without the modules that hold types such as wildcard: one unknown type makes the whole template fail.
    otherwise: [templateOf(ecsMappings({ plain: true }))],
  };
}

/** Adds `event.ingested`, which the pipeline sets and no document of ours has. */
function withIngested(mappings: EcsMappings): JsonObject {
  const { properties } = mappings;
  const event = isJsonObject(properties['event']) ? properties['event']['properties'] : undefined;
  const extended = { ...(isJsonObject(event) ? event : {}), ingested: { type: 'date' } };
  return { ...mappings, properties: { ...properties, event: { properties: extended } } };
}

const composed = {
  composed_of: [COMPONENT, CUSTOM],
  ignore_missing_component_templates: [CUSTOM],
  priority: PRIORITY,
  version: VERSION,
};

function latestTemplate({ name }: EcsDestination): SetupStep {
  return {
    name: 'index template: latest',
    method: 'PUT',
    path: `/_index_template/${name}`,
    body: {
      index_patterns: [`${name}-*`],
      ...composed,
      template: {
        settings: {
          number_of_shards: 1,
          auto_expand_replicas: '0-1',
          default_pipeline: PIPELINE,
          // How long a delete is remembered, so that a push repeated late does not bring the document back.
          gc_deletes: '1h',
        },
      },
    },
  };
}

function latestIndex({ name, index }: EcsDestination): SetupStep {
  return {
    name: 'index and alias',
    method: 'PUT',
    path: `/${index}`,
    body: { aliases: { [name]: { is_write_index: true } } },
  };
}

/** The poller of the guide writes to the same stream, and puts networks into fields of type ip. */
const FORGIVING = { mapping: { ignore_malformed: true } };

function streamTemplate(name: string, pattern: string, settings: JsonObject = {}): SetupStep {
  const templateOf = (rest: JsonObject): JsonObject => ({
    index_patterns: [pattern],
    data_stream: {},
    ...composed,
    template: { settings: { default_pipeline: PIPELINE, auto_expand_replicas: '0-1', ...settings }, ...rest },
  });
  return {
    name: `index template: ${name}`,
    method: 'PUT',
    path: `/_index_template/${name}`,
    body: templateOf({ lifecycle: { data_retention: RETENTION } }),
    otherwise: [templateOf({})],
  };
}

const destinationOf = (stream: string): string => `logs-ti_sluice_latest.${stream}_from_stream-${VERSION}`;

function transformTemplate(stream: string): SetupStep {
  const index = destinationOf(stream);
  return {
    name: 'index template: destination of the transform',
    method: 'PUT',
    path: `/_index_template/${index}`,
    body: { index_patterns: [index], ...composed, template: { settings: { auto_expand_replicas: '0-1' } } },
  };
}

/** Takes out the mark by which prebuilt rules leave out the source of a transform. */
function transformPipeline(): SetupStep {
  return {
    name: 'ingest pipeline of the transform',
    method: 'PUT',
    path: `/_ingest/pipeline/${PIPELINE}-transform`,
    body: {
      version: VERSION,
      processors: [{ remove: { field: 'labels.is_ioc_transform_source', ignore_missing: true } }],
    },
    without: 'this cluster has no such processor, nor transforms',
  };
}

/** As the integration's own transform: the latest document of each indicator, deleted a minute after it expired. */
function transformStep(stream: string, source: string): SetupStep {
  const index = destinationOf(stream);
  return {
    name: 'latest transform',
    method: 'PUT',
    path: `/_transform/logs-ti_sluice.${stream}-latest-${VERSION}`,
    body: {
      source: { index: [source], query: { bool: { filter: [{ exists: { field: 'stix.ioc_expiration_date' } }] } } },
      dest: {
        index,
        pipeline: `${PIPELINE}-transform`,
        aliases: [{ alias: index.replace(/-\d+$/, ''), move_on_creation: true }],
      },
      frequency: '60s',
      sync: { time: { field: 'event.ingested', delay: '120s' } },
      latest: { unique_key: ['event.dataset', 'sluice.collection', 'stix.id'], sort: '@timestamp' },
      retention_policy: { time: { field: 'stix.ioc_expiration_date', max_age: '1m' } },
      settings: { unattended: true },
      _meta: { managed_by: 'sluice', version: VERSION },
    },
    without:
      'this cluster has no transforms: read the data stream itself, and leave out what stix.ioc_expiration_date ends',
  };
}

function transformStart(stream: string): SetupStep {
  return {
    name: 'start of the transform',
    method: 'POST',
    path: `/_transform/logs-ti_sluice.${stream}-latest-${VERSION}/_start`,
    body: {},
    without: 'this cluster has no transforms',
  };
}

/** Errors of a cluster that lacks a feature. */
const LACKING =
  /no handler found|No processor type exists|mapper type|unknown setting|unknown field \[lifecycle\]|Incorrect HTTP method/i;
const ALREADY = /resource_already_exists_exception|already exists|already started/i;

/** Runs one step and returns what was done. Throws `sink-refused` with Elasticsearch's reason. */
export async function installStep(connection: Connection, step: SetupStep, signal: AbortSignal): Promise<string> {
  const { method, path, name, without } = step;
  if (step.byHand) return 'left to you';
  const bodies = [step.body, ...(step.otherwise ?? [])];
  for (const [i, body] of bodies.entries()) {
    try {
      await connection.send({ method, path, body }, signal);
      return i === 0 ? 'done' : 'done, without what this cluster lacks';
    } catch (error) {
      if (!(error instanceof ErrorResponse)) throw error;
      if (ALREADY.test(error.message)) return 'was there';
      const isLacking = LACKING.test(error.message);
      if (isLacking && i < bodies.length - 1) continue;
      if (isLacking && without !== undefined) return `left out: ${without}`;
      throw toGatewayError(error, connection.where, `refused the ${name}`);
    }
  }
  return 'done';
}
