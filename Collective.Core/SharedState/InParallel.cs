namespace Collective.Sharing;

/// <summary>Runs numbered pieces of work on the calling thread and helpers of its own.</summary>
internal static class InParallel
{
    /// <summary>Returns when all pieces are done; throws when cancelled, after the piece in hand.</summary>
    public static void Run(string name, int pieces, int threads, Action<int> run, CancellationToken cancellationToken)
    {
        var next = -1;
        void Work()
        {
            for (int i; !cancellationToken.IsCancellationRequested && (i = Interlocked.Increment(ref next)) < pieces;)
            {
                run(i);
            }
        }

        var helpers = new List<Thread>();
        for (var i = 1; i < threads; i++)
        {
            var helper = new Thread(Work, maxStackSize: 256 * 1024) { IsBackground = true, Name = name };
            try
            {
                helper.Start();
                helpers.Add(helper);
            }
            catch (OutOfMemoryException)
            {
                break; // The system gives no more threads: with those there are.
            }
        }

        Work();
        helpers.ForEach(h => h.Join());
        cancellationToken.ThrowIfCancellationRequested();
    }
}
