"""mteb: an encoder over the embedder, and retrieval galleries as tasks that run offline. Importing it needs mteb."""

from onepeace_pl.integrations.mteb.encoder import OnePeaceEncoder as OnePeaceEncoder
from onepeace_pl.integrations.mteb.tasks import GalleryTask as GalleryTask
from onepeace_pl.integrations.mteb.tasks import gallery_tasks as gallery_tasks
from onepeace_pl.integrations.mteb.tasks import triworld_tasks as triworld_tasks
