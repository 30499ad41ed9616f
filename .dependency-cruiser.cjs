/**
 * The import rule of ARCHITECTURE.md: a folder may import itself and what is listed behind it, nothing else of ours.
 * Contract files (types only) may be imported by all.
 */
const CONTRACTS = '^src/(feeds/feed|store/store|sinks/sink|outputs/output)\\.ts$';

const may = {
  model: [],
  config: ['model'],
  stix: ['model'],
  ecs: ['stix', 'model'],
  normalise: ['stix', 'model'],
  curate: ['stix', 'model'],
  store: ['stix', 'model'],
  feeds: ['stix', 'model'],
  pipeline: ['feeds', 'normalise', 'curate', 'store', 'stix', 'model'],
  outputs: ['stix', 'model'],
  sinks: ['ecs', 'stix', 'model'],
  control: ['model'],
};

const layers = Object.entries(may).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `src/${folder} may import: ${[folder, ...allowed].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^(src|routes)/', pathNot: [`^src/(${[folder, ...allowed].join('|')})/`, CONTRACTS] },
}));

module.exports = {
  forbidden: [
    ...layers,
    {
      name: 'auth-imports',
      severity: 'error',
      from: { path: '^src/auth\\.ts$' },
      to: { path: '^(src|routes)/', pathNot: ['^src/(config|model)/'] },
    },
    {
      name: 'app-imports',
      severity: 'error',
      from: { path: '^src/app\\.ts$' },
      to: { path: '^(src|routes)/', pathNot: ['^routes/', '^src/(config|model)/', '^src/auth\\.ts$', CONTRACTS] },
    },
    {
      name: 'routes-imports',
      severity: 'error',
      from: { path: '^routes/' },
      to: { path: '^src/', pathNot: ['^src/(stix|model)/', '^src/auth\\.ts$', '^src/outputs/(registry|ioc)\\.ts$', CONTRACTS] },
    },
    {
      name: 'commands-imports',
      severity: 'error',
      from: { path: '^src/commands/' },
      to: { path: '^(src|routes)/', pathNot: ['^src/(commands|config|model)/', '^src/gateway\\.ts$'] },
    },
    {
      name: 'main-imports',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^(src|routes)/', pathNot: ['^src/commands/'] },
    },
    {
      name: 'formats-are-strangers',
      comment: 'Formats of one extension folder never import each other; only the registry knows them all.',
      severity: 'error',
      from: { path: '^src/feeds/(?!registry|presets|feed)([^/.]+)' },
      to: { path: '^src/feeds/', pathNot: ['^src/feeds/feed\\.ts$', '^src/feeds/$1[/.-]', '^src/feeds/reading/'] },
    },
    {
      name: 'outputs-are-strangers',
      severity: 'error',
      from: { path: '^src/outputs/(?!registry|output|ioc)([^/.]+)' },
      to: { path: '^src/outputs/', pathNot: ['^src/outputs/(output|ioc)\\.ts$', '^src/outputs/$1[/.-]'] },
    },
    {
      name: 'sinks-are-strangers',
      severity: 'error',
      from: { path: '^src/sinks/(?!registry|sink)([^/.]+)' },
      to: { path: '^src/sinks/', pathNot: ['^src/sinks/sink\\.ts$', '^src/sinks/$1[/.-]'] },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'no-unknown', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
