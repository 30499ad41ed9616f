/**
 * The import rule of ARCHITECTURE.md: a room may import itself and what is listed behind it, nothing else of ours. Contract files
 * hold types only, and may be imported by all.
 */
const CONTRACTS = '^src/(feeds/feed|store/(store|engine|contract/[^/]+)|sinks/sink|outputs/output)\\.ts$';

const may = {
  model: [],
  config: ['model'],
  auth: ['model'],
  stix: ['model'],
  ecs: ['stix', 'model'],
  normalise: ['stix', 'model'],
  store: ['stix', 'model'],
  feeds: ['stix', 'model'],
  outputs: ['ecs', 'stix', 'model'],
  lists: ['outputs', 'model'],
  sinks: ['ecs', 'stix', 'model'],
  upstream: ['model'],
  suppress: ['stix', 'model'],
  publish: ['suppress', 'stix', 'model'],
  ingest: ['feeds', 'upstream', 'normalise', 'publish', 'stix', 'model'],
  delivery: ['model'],
  control: ['auth', 'config', 'status', 'model'],
  status: ['config', 'feeds', 'upstream', 'model'],
  writer: [
    'auth',
    'config',
    'control',
    'delivery',
    'feeds',
    'ingest',
    'model',
    'publish',
    'sinks',
    'stix',
    'store',
    'upstream',
  ],
  commands: ['config', 'control', 'status', 'model'],
};

/** What a room may import besides whole rooms. */
const also = {
  config: ['^src/normalise/(listed|parsed)\\.ts$', '^src/suppress/warning-lists/modes\\.ts$'],
  sinks: ['^src/outputs/(registry|options|selection|tally|ioc)\\.ts$'],
  status: ['^src/version\\.ts$'],
  writer: ['^src/(load|log|version)\\.ts$', '^src/normalise/(asked|canonical|type-words)\\.ts$'],
  commands: ['^src/gateway\\.ts$', '^src/feeds/presets\\.ts$'],
};

const layers = Object.entries(may).map(([room, allowed]) => ({
  name: `${room}-imports`,
  comment: `src/${room} may import: ${[room, ...allowed].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: {
    path: '^(src|routes)/',
    pathNot: [`^src/(${[room, ...allowed].join('|')})/`, CONTRACTS, ...(also[room] ?? [])],
  },
}));

module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'routes-imports',
      severity: 'error',
      from: { path: '^routes/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/(auth|config|stix|model)/',
          '^src/outputs/(registry|options|selection|tally|ioc)\\.ts$',
          '^src/lists/(build|builds)\\.ts$',
          '^src/status/(explain|feeds|json|verdicts)\\.ts$',
          '^src/control/verbs\\.ts$',
          CONTRACTS,
        ],
      },
    },
    {
      name: 'app-knows-the-configuration',
      comment: 'Of the routes only the application itself is made from the configuration.',
      severity: 'error',
      from: { path: '^routes/', pathNot: '^routes/app\\.ts$' },
      to: { path: '^src/config/' },
    },
    {
      name: 'only-the-gateway-imports-routes',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/gateway\\.ts$' },
      to: { path: '^routes/' },
    },
    {
      name: 'main-imports',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^(src|routes)/', pathNot: ['^src/commands/'] },
    },
    {
      name: 'formats-are-strangers',
      comment:
        'Formats of one extension folder never import each other; only the registry knows them all. A family shares the folder of its first word: misp-feed, misp-rest.',
      severity: 'error',
      from: { path: '^src/feeds/(?!registry|presets)([^/.-]+)' },
      to: { path: '^src/feeds/', pathNot: ['^src/feeds/(feed|fields|key|source)\\.ts$', '^src/feeds/$1[/.-]', '^src/feeds/(reading|source)/'] },
    },
    {
      name: 'outputs-are-strangers',
      severity: 'error',
      from: { path: '^src/outputs/(?!registry|output|options|selection|ioc|lines|about|splunk-lookup|addresses|names|digests|tally)([^/.]+)' },
      to: { path: '^src/outputs/', pathNot: ['^src/outputs/(output|options|ioc|lines|about|splunk-lookup|addresses|names|digests|tally)\\.ts$', '^src/outputs/$1[/.]'] },
    },
    {
      name: 'suppressors-are-strangers',
      severity: 'error',
      from: { path: '^src/suppress/(?!registry|suppressor|covering)([^/.]+)' },
      to: { path: '^src/suppress/', pathNot: ['^src/suppress/(suppressor|covering)\\.ts$', '^src/suppress/$1[/.-]'] },
    },
    {
      name: 'sinks-are-strangers',
      severity: 'error',
      from: { path: '^src/sinks/(?!registry|sink|request|batches)([^/.]+)' },
      to: { path: '^src/sinks/', pathNot: ['^src/sinks/(sink|request|batches)\\.ts$', '^src/sinks/$1[/.-]'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unknown', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
