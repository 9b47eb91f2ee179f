"""Files in the private folder of a run."""

REQUEST = "job.json"  # protocol.JobRequest
SCAN = "scan.npy"
MESSAGES = "messages.jsonl"  # protocol.Message, one a line
ERRORS = "errors.txt"  # standard output and error of the worker
LABELS = "labels.npy"
RESULT = "result.json"  # protocol.JobResult
MAPS = "maps.npz"  # cascade.predictions.ToothMaps
