import { App } from './app.js';
import { sentenceOf } from './sentences.js';
import { standstill } from './view/standstill.js';

const root = document.querySelector<HTMLElement>('#app') ?? document.body;
App.start(root).catch((error: unknown) => {
  root.replaceChildren(standstill('This cannot begin', sentenceOf(error), [{ label: 'Try again', run: () => location.reload() }]));
});
