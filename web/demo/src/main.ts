import { App } from './app.js';
import { sentenceOf } from './sentences.js';
import { standstill } from './view/standstill.js';

const root = document.querySelector<HTMLElement>('#app') ?? document.body;

function stop(sentence: string): void {
  root.replaceChildren(standstill('This cannot begin', sentence, [{ label: 'Try again', run: () => location.reload() }]));
}

// Browsers keep their cryptography from pages that anybody on the way could have changed.
if (isSecureContext) App.start(root).catch((error: unknown) => stop(sentenceOf(error)));
else stop('This page did not come over https, so the browser does not let it encrypt. Ask whoever runs this node for its https address.');
