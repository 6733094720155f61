using System.Diagnostics;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Sharing;

/// <summary>What each connection's thread does.</summary>
internal sealed partial class StateFetcher
{
    /// <summary>One connection, made again when it breaks, until the fetch is over or the holder gone.</summary>
    private void Run(int holder)
    {
        var failures = 0;
        try
        {
            while (true)
            {
                lock (_gate)
                {
                    if (IsOver || !_board.IsOfUse(holder))
                    {
                        return;
                    }
                }

                var (answered, failure) = Connect(holder);
                failures = answered ? 0 : failures + 1;
                if (failure is null || !GoOn(holder, failures, failure))
                {
                    return;
                }
            }
        }
        catch (SocketException) when (HasConnection(holder))
        {
            // This process has no descriptor for one more: without.
        }
        catch (Exception e)
        {
            _events.Failed(e);
        }
    }

    private bool HasConnection(int holder)
    {
        lock (_gate)
        {
            return IsOver || _holders[holder].Connections.Count > 0;
        }
    }

    private (bool Answered, IOException? Failure) Connect(int holder)
    {
        var answered = false;
        try
        {
            var started = Stopwatch.GetTimestamp();
            using var connection = _network.DialState(_holders[holder].Member);
            var connectMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            if (!Begin(holder, connection))
            {
                return (false, null);
            }

            try
            {
                Exchange(holder, connection, connectMs, ref answered);
                return (answered, null);
            }
            finally
            {
                End(holder, connection);
            }
        }
        catch (IOException e)
        {
            return (answered, e);
        }
        finally
        {
            TellWhenOver();
        }
    }

    private bool Begin(int holder, IByteConnection connection)
    {
        lock (_gate)
        {
            if (IsOver || !_board.IsOfUse(holder))
            {
                return false;
            }

            _holders[holder].Connections.Add(connection);
            _receiving++;
            return true;
        }
    }

    private void End(int holder, IByteConnection connection)
    {
        lock (_gate)
        {
            _holders[holder].Connections.Remove(connection);
            _receiving--;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Whether a connection that broke is tried again. If not, and no other one to the holder stands, the holder is given up.</summary>
    private bool GoOn(int holder, int failures, IOException failure)
    {
        lock (_gate)
        {
            if (IsOver || _board.IsGone(holder))
            {
                return false;
            }

            var lies = failure is WrongBytesException;
            if (!lies && failures < Limits.StateFailuresMax)
            {
                if (failures > 0)
                {
                    Monitor.Wait(_gate, Limits.StateRetryPauseMs << failures); // Not a poll: the end of the fetch ends it.
                }

                return true;
            }

            if (!lies && _holders[holder].Connections.Count > 0)
            {
                return false;
            }

            LetGo(holder);
            _reporting++;
        }

        _events.HolderFailed(_holders[holder].Member.Id, failure is WrongBytesException, failure.Message);
        lock (_gate)
        {
            _reporting--;
        }

        TellWhenOver();
        return false;
    }

    private void LetGo(int holder)
    {
        _board.HolderGone(holder);
        _holders[holder].Connections.ForEach(c => c.Dispose());
        _holders[holder].HasThreads = false;
        UseHolders();
        Monitor.PulseAll(_gate);
    }

    private void Exchange(int holder, IByteConnection connection, double connectMs, ref bool answered)
    {
        var receiver = new StateReceiver(connection);
        var asked = new Queue<FetchTask>();
        long paceMs = 0;
        try
        {
            while (TakeTasks(holder, asked, RequestWindow.Of(connectMs, paceMs), paceMs, out var fresh))
            {
                fresh.ForEach(receiver.Ask);
                var started = Stopwatch.GetTimestamp();
                var comparison = Receive(holder, receiver, asked);
                answered = true;
                paceMs = (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds;
                if (comparison is not null)
                {
                    Compare(comparison);
                }
            }
        }
        finally
        {
            lock (_gate)
            {
                _wireBytes += receiver.WireBytes;
                foreach (var task in asked)
                {
                    _board.Unanswered(task);
                }

                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Fills up what is under way, waiting for something to ask for when nothing is. False when the fetch is over, or the holder gone or of no more use.</summary>
    private bool TakeTasks(int holder, Queue<FetchTask> asked, int inFlightMax, long paceMs, out List<FetchTask> fresh)
    {
        fresh = [];
        lock (_gate)
        {
            while (!IsOver && _board.IsOfUse(holder))
            {
                var overdueMs = Math.Max(Limits.StateOverdueMs, 4 * paceMs);
                while (asked.Count < inFlightMax && _board.Take(holder, Environment.TickCount64, overdueMs) is { } task)
                {
                    asked.Enqueue(task);
                    fresh.Add(task);
                }

                if (asked.Count > 0)
                {
                    return true;
                }

                Monitor.Wait(_gate, Limits.StateOverdueMs / 4); // Until something fails, or becomes overdue.
            }
        }

        return false;
    }

    /// <summary>The next answer. After a tensor's last digests, the comparison that is to be made.</summary>
    private unsafe DigestComparison? Receive(int holder, StateReceiver receiver, Queue<FetchTask> asked)
    {
        var task = asked.Peek();
        var genuine = true;
        DigestComparison? comparison = null;
        if (task.Kind == StateRequestKind.Digests)
        {
            var theirs = receiver.ReceiveDigests(task);
            lock (_gate)
            {
                asked.Dequeue();
                genuine = _board.DeliverDigests(task, theirs, out comparison);
            }
        }
        else
        {
            var staged = Stage(task);
            receiver.ReceiveBlocks(task, new Span<byte>((void*)staged, task.Bytes));
            lock (_gate)
            {
                asked.Dequeue();
                _holders[holder].HasGiven |= _board.DeliverBlocks(task, staged);
                if (IsOver)
                {
                    Monitor.PulseAll(_gate);
                }
            }
        }

        if (!genuine)
        {
            throw new WrongBytesException($"gave wrong digests of \"{StateEntries.Shorten(task.Target.Tensor.Key)}\": they do not match the elected hash");
        }

        return comparison;
    }

    /// <summary>Without the lock: a tensor that was not hashed ahead is hashed here.</summary>
    private void Compare(DigestComparison comparison)
    {
        bool[] found;
        try
        {
            found = comparison.Theirs.FoundIn(comparison.Target.Tensor, _stopping.Token);
        }
        catch (OperationCanceledException e)
        {
            throw new IOException("the sync has ended", e);
        }

        lock (_gate)
        {
            _board.Cut(comparison, found);
            Monitor.PulseAll(_gate); // Blocks for the others to ask for.
        }
    }

    private nint Stage(FetchTask task)
    {
        try
        {
            return _staging.Rent(task.Bytes);
        }
        catch (OutOfMemoryException)
        {
            throw new InsufficientMemoryException($"its system gives its process no memory for {task.Bytes} bytes that it fetches (a sync needs as much free memory as the blocks that differ)");
        }
    }
}
