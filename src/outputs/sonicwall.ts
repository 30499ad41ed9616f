import { addressList } from './addresses.ts';

export const sonicwall = addressList({
  name: 'sonicwall',
  title: 'SonicWall dynamic external address group of IP addresses',
  readers: 'SonicOS; no lines of comments',
  comment: null,
});
