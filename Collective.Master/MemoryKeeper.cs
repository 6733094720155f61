namespace Collective.Daemon;

/// <summary>
/// Gives memory back that the master needed for a moment. A master without work allocates nothing, so it would collect no garbage either, and keep for good what a crowd has left.
/// On a thread of its own, which exists from the beginning: later there may be none.
/// </summary>
internal sealed class MemoryKeeper : IDisposable
{
    private readonly ManualResetEventSlim _stopping = new();
    private readonly Thread _thread;
    private long _allocated;
    private long _owed;

    public MemoryKeeper()
    {
        _thread = new Thread(Keep, maxStackSize: 256 * 1024) { IsBackground = true, Name = "collective-memory" };
        _thread.Start();
    }

    public void Dispose()
    {
        _stopping.Set();
        _thread.Join();
        _stopping.Dispose();
    }

    private void Keep()
    {
        while (!_stopping.Wait(Limits.MemoryPause))
        {
            var before = _allocated;
            _allocated = GC.GetTotalAllocatedBytes();
            _owed += _allocated - before;
            if (_owed > Limits.GarbageBytesMax && _allocated - before < Limits.QuietBytesMax)
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                _owed = 0;
            }
        }
    }
}
