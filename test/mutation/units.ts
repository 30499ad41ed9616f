import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** A function, a method or another whole declaration: the unit that a sample is drawn by. */
export interface Unit {
  file: string;
  name: string;
  /** `file:line:column-line:column`, as Stryker takes it. */
  range: string;
  /** Of its text: a result is used again until this changes. */
  digest: string;
}

/** The units of a file, in its order. */
export function unitsOf(file: string): Unit[] {
  const text = readFileSync(file, 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const nodes = source.statements.flatMap<ts.Node>((statement) =>
    ts.isClassDeclaration(statement) ? [...statement.members] : [statement],
  );
  return nodes.filter(runs).map((node) => {
    const [start, end] = [node.getStart(), node.getEnd()].map((offset) => {
      const { line, character } = source.getLineAndCharacterOfPosition(offset);
      return `${line + 1}:${character}`;
    });
    return { file, name: nameOf(node), range: `${file}:${start}-${end}`, digest: hash('sha1', node.getText()) };
  });
}

/** A place between 0 and 1 that depends on the seed and on the unit's name only: a sample stays one when code moves. */
export function placeOf(unit: Unit, seed: number): number {
  return Number.parseInt(hash('sha1', `${seed}:${unit.file}:${unit.name}`).slice(0, 12), 16) / 16 ** 12;
}

/** False for types and imports. */
function runs(node: ts.Node): boolean {
  return !(
    ts.isImportDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isExportDeclaration(node) ||
    ts.isSemicolonClassElement(node)
  );
}

function nameOf(node: ts.Node): string {
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.map(({ name }) => name.getText()).join(', ');
  }
  if (ts.isConstructorDeclaration(node)) return `${node.parent.name?.text}.constructor`;
  if (ts.isFunctionDeclaration(node) || ts.isClassElement(node)) {
    const holder = ts.isClassDeclaration(node.parent) ? `${node.parent.name?.text}.` : '';
    return `${holder}${node.name?.getText() ?? ''}`;
  }
  return node.getText().slice(0, 40);
}
