namespace Collective;

/// <summary>Ends tasks for callers. Where the system gives the thread pool no thread for what waits for a task, the task has ended all the same.</summary>
internal static class Completions
{
    /// <param name="inline">
    /// Whether what waits for the task runs on the thread that ends it: only for callers that block on it, who need no thread of the pool then.
    /// </param>
    public static TaskCompletionSource<T> New<T>(bool inline) => new(inline ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously);

    public static void Complete<T>(this TaskCompletionSource<T> completion, T result) => Patiently(() => completion.TrySetResult(result));

    public static void Fail<T>(this TaskCompletionSource<T> completion, Exception failure) => Patiently(() => completion.TrySetException(failure));

    private static void Patiently(Action end)
    {
        try
        {
            end();
        }
        catch (OutOfMemoryException)
        {
            // What waits is in the pool's queue, until that gets a thread.
        }
    }
}
